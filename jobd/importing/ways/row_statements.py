"""The statements that find out which rows are refused, and why; composed as in ``statements``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from jobd.importing.ways.statements import INPUT_ERROR_SINCE, NUMBER, literal
from jobd.model.row_error import RAW_DATA_CHARACTERS_MAX

if TYPE_CHECKING:
    from jobd.importing.target import ForeignKey, TargetColumn, UniqueIndex
    from jobd.importing.ways.statements import Statements

# PostgreSQL looks through its directory of time zones for each word that it does not know in one of these.
_TIMES = frozenset({
    "date", "time without time zone", "time with time zone", "timestamp without time zone",
    "timestamp with time zone",
})  # fmt: skip


class RowStatements:
    """Statements about single rows of one import's staging tables."""

    def __init__(self, statements: Statements) -> None:
        self._all = statements
        self._rules = statements.rules
        self._target = statements.target
        self._columns = statements.mapping.columns
        # What is written with updates only cannot be held against a row that may turn out to be unchanged.
        mapped = {column.name for column in statements.mapping.stated}
        self.checks = [
            each for each in self._target.checks if each.is_checkable and mapped.issuperset(each.columns)
        ]
        self.foreign_keys = [
            each for each in self._target.foreign_keys if each.is_checkable and mapped.issuperset(each.columns)
        ]
        self.self_references = [
            each for each in self._target.foreign_keys if each.is_self and not mapped.isdisjoint(each.columns)
        ]
        # Where a blank leaves an existing row's value, a null is wrong in a new row only.
        self.nulls = [
            column
            for column in self._columns
            if column.name not in self._rules.needed and self._target.refuses_null(column)
        ]
        self._input_error = f"pg_temp.jobd_input_error_{statements.typed.rpartition('_')[2]}"

    # --- values that their type refuses

    @property
    def explains_softly(self) -> bool:
        """Whether the server can say what is wrong with a value without raising an error."""
        return self._target.server_version >= INPUT_ERROR_SINCE

    def explain(self, *, is_soft: bool) -> str | None:
        """Every bad field of the rows in the text table: place, sqlstate; their numbers, messages, values.

        These in arrays, since a row for each costs the driver several times as much. None: nothing can be bad.

        ``is_soft``: PostgreSQL's own functions tell; else a function that tries, which works for every type and
        server, slowly.
        """
        parts = [self._explain_column(place, column, is_soft) for place, column in enumerate(self._columns)]
        parts += [
            f"select {NUMBER} as number, {place} as place, null::text as message, '23502' as sqlstate, "
            f"null::text as value from {self._all.texts} where c{place} is null"
            for place, column in enumerate(self._columns)
            if column.name in self._rules.needed
        ]
        found = [part for part in parts if part]
        return (
            "select place, sqlstate, array_agg(number) as numbers, array_agg(message) as messages, "
            f"array_agg(value) as values from ({' union all '.join(found)}) bad "
            "group by place, sqlstate, value is null order by place, sqlstate"
            if found
            else None
        )

    def _explain_column(self, place: int, column: TargetColumn, is_soft: bool) -> str | None:
        if column.type_name == "text":
            return None
        name = literal(column.type_name)
        if is_soft and self.explains_softly and column.base_type in _TIMES:
            return self._explain_times(place, name)
        if is_soft and self.explains_softly:
            call = f"pg_input_error_info(x.c{place}, {name})"
            bad = f"not pg_input_is_valid(x.c{place}, {name})"
        else:
            by_record = column.type_modifier >= 0 and not column.type_name.endswith("[]")
            call = f"{self._input_error}(x.c{place}, {name}, {by_record})"
            bad = f"x.c{place} is not null and e.message is not null"
        return (
            f"select x.{NUMBER} as number, {place} as place, e.message, e.sql_error_code as sqlstate, "
            f"left(x.c{place}, {RAW_DATA_CHARACTERS_MAX}) as value "
            f"from {self._all.texts} x cross join lateral {call} as e where {bad}"
        )

    def _explain_times(self, place: int, name: str) -> str:
        """Each value once, all of them before any is tried (hence the offset)."""
        return (
            f"select n.number, {place} as place, e.message, e.sql_error_code as sqlstate, "
            f"left(d.value, {RAW_DATA_CHARACTERS_MAX}) as value "
            f"from (select c{place} as value, array_agg({NUMBER}) as numbers "
            f"from {self._all.texts} group by c{place} offset 0) d "
            f"cross join lateral pg_input_error_info(d.value, {name}) as e "
            f"cross join lateral unnest(d.numbers) as n (number) where not pg_input_is_valid(d.value, {name})"
        )

    @cached_property
    def create_input_error(self) -> str:
        """A function that tries to read a value as a type; by way of a record where a cast would cut the value."""
        return f"""
            create or replace function {self._input_error}(
                value text, type_name text, by_record boolean, out message text, out sql_error_code text
            ) language plpgsql set search_path = pg_catalog as $jobd$
            begin
                execute format(
                    case when by_record
                        then 'select r.c from json_to_record(json_build_object(''c'', $1)) as r (c %s)'
                        else 'select $1::%s'
                    end, type_name
                ) using value;
            exception when others then
                get stacked diagnostics message = message_text, sql_error_code = returned_sqlstate;
            end $jobd$
        """

    # --- rows that a constraint refuses

    @cached_property
    def refusing(self) -> list[tuple[str, str | None, str | None]]:
        """What may refuse a row, in PostgreSQL's order: the sqlstate, and the name of the constraint or column."""
        return [
            *(("23502", None, column.name) for column in self.nulls),
            *(("23514", check.name, None) for check in self.checks),
            *(("23503", key.name, None) for key in self.foreign_keys),
        ]

    def violations(self, *, is_part: bool) -> str | None:
        """Rows of the typed table that something refuses: number, and its place in ``refusing``."""
        only = f" and s.{NUMBER} = any ($1::int[])" if is_part else ""
        wrong = [f"{column.quoted_name} is null" for column in self.nulls]
        wrong += [f"({check.expression}) is false" for check in self.checks]
        parts = [self._own_part(place, condition) + only for place, condition in enumerate(wrong)]
        parts += [
            self._foreign_key_part(len(wrong) + place, key) + only
            for place, key in enumerate(self.foreign_keys)
            if not key.is_self
        ]
        return " union all ".join(parts) + " order by 1, 2" if parts else None

    def _own_part(self, place: int, condition: str) -> str:
        return (
            f"select s.{NUMBER} as number, s._jobd_rule as rule "
            f"from (select *, {place} as _jobd_rule from {self._all.typed} where {condition}) s "
            f"where true{self._unless_there()}"
        )

    def _foreign_key_part(self, place: int, key: ForeignKey) -> str:
        return (
            f"select s.{NUMBER} as number, {place} as rule from {self._all.typed} s "
            f"where {self._dangles(key)}{self._unless_there()}"
        )

    def _unless_there(self) -> str:
        """Where existing rows keep what they have, a record of one is not held against the constraints."""
        if self._rules.overwrites or not self._all.mapping.key:
            return ""
        return f" and not exists (select from {self._target.quoted_name} t where {self._all.matches})"

    def _dangles(self, key: ForeignKey, among_staged: str = "") -> str:
        names = [self._quoted(name) for name in key.columns]
        same = " and ".join(
            f"r.{referenced} {operator} s.{name}"
            for referenced, operator, name in zip(key.referenced_columns, key.operators, names, strict=True)
        )
        is_set = " and ".join(f"s.{name} is not null" for name in names)
        missing = f"{is_set} and not exists (select from {key.referenced} r where {same}){among_staged}"
        if key.is_full and len(names) > 1:
            listed = ", ".join(f"s.{name}" for name in names)
            return f"(({missing}) or num_nulls({listed}) between 1 and {len(names) - 1})"
        return f"({missing})"

    def dangling(self, key: ForeignKey) -> str:
        """Rows whose reference to the target itself leads neither to a row of it nor to an earlier staged one."""
        pairs = zip(key.referenced_columns, key.operators, key.columns, strict=True)
        same = " and ".join(
            f"p.{referenced} {operator} s.{self._quoted(name)}" for referenced, operator, name in pairs
        )
        staged = {column.quoted_name for column in self._columns}
        among = (
            f" and not exists (select from {self._all.typed} p where {same} and p.{NUMBER} <= s.{NUMBER})"
            if staged.issuperset(key.referenced_columns)
            else ""
        )
        return f"select s.{NUMBER} as number from {self._all.typed} s where {self._dangles(key, among)} order by 1"

    @cached_property
    def preceded(self) -> str:
        """Those of the rows in $1 whose key has an earlier row that is not in $1."""
        keys = ", ".join(f"s.{column.quoted_name}" for column in self._all.mapping.key)
        return (
            f"select number from (select s.{NUMBER} as number, bool_or(s.{NUMBER} <> all ($1::int[])) over "
            f"(partition by {keys} order by s.{NUMBER} rows between unbounded preceding and 1 preceding) "
            f"as earlier from {self._all.typed} s) ranked where earlier and number = any ($1::int[])"
        )

    def _quoted(self, name: str) -> str:
        return self._target.column(name).quoted_name

    # --- rows that get into each other's way

    def collides(self, index: UniqueIndex, *, is_part: bool) -> str:
        """Whether rows of different keys, staged or there, share a value that must be unique."""
        names = [self._quoted(name) for name in index.columns]
        same = " and ".join(f"t.{name} {op} s.{name}" for name, op in zip(names, index.operators, strict=True))
        values = ", ".join(f"s.{name}" for name in names)
        keys = ", ".join(f"s.{column.quoted_name}" for column in self._all.mapping.key)
        is_set = " and ".join(f"s.{name} is not null" for name in names) if not index.are_nulls_equal else "true"
        only = f" and s.{NUMBER} = any ($1::int[])" if is_part else ""
        return (
            f"select exists (select from {self._all.typed} s join {self._target.quoted_name} t on {same} "
            f"where not ({self._all.matches}){only}) or exists (select from (select count(*) over "
            f"(partition by {values}) as owners, count(*) over (partition by {values}, {keys}) as of_key "
            f"from {self._all.typed} s where {is_set}{only}) counted where owners <> of_key)"
        )
