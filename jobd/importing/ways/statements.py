"""Every statement that names a user's table is composed here, from names that PostgreSQL itself quoted.

Values never enter a statement, except numbers that jobd counted itself; they are parameters or COPY data.
Staged rows carry their place in the batch, ``_jobd_n``, so that whatever befalls one can be told of its record.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.target import Target, TargetColumn
    from jobd.importing.ways.rules import Rules
    from jobd.sources import CopyDialect

NUMBER = "_jobd_n"
ON_ERROR_SINCE = 170_000
INPUT_ERROR_SINCE = 160_000
_WHOLE_NUMBERS = frozenset({"smallint", "integer", "bigint"})
_CATALOG_EQUALITY = "OPERATOR(pg_catalog.=)"


def literal(text: str) -> str:
    """A string constant of SQL; for COPY's options, which take no parameters."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def distinct(column: TargetColumn, left: str, right: str) -> str:
    """SQL for "these two values of the column's type differ, or one of them is null"."""
    if column.equality == _CATALOG_EQUALITY and column.is_equality_exact:
        return f"{left} is distinct from {right}"
    if column.equality is None:
        return f'{left}::text collate "C" is distinct from {right}::text collate "C"'
    return (
        f"case when {left} is null or {right} is null then ({left} is null) <> ({right} is null)"
        f" else not ({left} {column.equality} {right}) end"
    )


def reading(column: TargetColumn) -> str:
    """A query that fails when the text $1 is no value of a column's type; a cast would cut what is too long."""
    if column.type_modifier >= 0 and not column.type_name.endswith("[]"):
        return (
            f"select r.c is null from json_to_record(json_build_object('c', $1::text)) as r (c {column.type_name})"
        )
    return f"select $1::text::{column.type_name} is null"


class Statements:
    """The statements of one import. ``token`` makes the names of its temporary tables its own."""

    def __init__(
        self, target: Target, mapping: FieldMapping, rules: Rules, token: str, *, drop_on_commit: bool
    ) -> None:
        self.target = target
        self.mapping = mapping
        self.rules = rules
        self.token = token
        self.typed = f"pg_temp.jobd_typed_{token}"
        self.texts = f"pg_temp.jobd_texts_{token}"
        self.outcomes = f"pg_temp.jobd_outcomes_{token}"
        self.ending = "on commit drop" if drop_on_commit else "on commit delete rows"
        self._names = [column.quoted_name for column in mapping.columns]
        self._column_list = ", ".join(self._names)
        self._key = [column.quoted_name for column in mapping.key]

    # --- COPY

    def copy_direct(self, dialect: CopyDialect, *, null: str, forces_null: bool) -> str:
        """Into the target; the first line that is sent is a dummy header.

        Where a trigger may drop rows without a word, COPY must not leave out any itself: the two could not be told
        apart.
        """
        skips = self.skips_bad_values and not self.target.has_before_row_triggers
        ignores = ", on_error ignore, log_verbosity verbose" if skips else ""
        options = self._copy_options(dialect, null=null, forces_null=forces_null)
        return f"copy {self.target.quoted_name} ({self._column_list}) from stdin ({options}, header true{ignores})"

    def copy_typed(self, dialect: CopyDialect, *, null: str, forces_null: bool) -> str:
        """Into the typed staging table."""
        ignores = ", on_error ignore" if self.skips_bad_values else ""
        options = self._copy_options(dialect, null=null, forces_null=forces_null)
        return f"copy {self.typed} ({NUMBER}, {self._column_list}) from stdin ({options}{ignores})"

    def copy_texts(self, dialect: CopyDialect, *, null: str, forces_null: bool) -> str:
        """Into the staging table where every value is text."""
        options = self._copy_options(dialect, null=null, forces_null=forces_null, as_texts=True)
        return f"copy {self.texts} from stdin ({options})"

    def _copy_options(self, dialect: CopyDialect, *, null: str, forces_null: bool, as_texts: bool = False) -> str:
        forced = [
            f"c{index}" if as_texts else column.quoted_name
            for index, column in enumerate(self.mapping.columns)
            if not column.is_text
        ]
        force = f", force_null ({', '.join(forced)})" if forces_null and forced else ""
        return (
            f"format csv, delimiter {literal(dialect.delimiter)}, quote {literal(dialect.quote)}, "
            f"escape {literal(dialect.escape)}, encoding {literal(dialect.encoding)}, null {literal(null)}{force}"
        )

    @property
    def skips_bad_values(self) -> bool:
        """Whether COPY can pass over values that their type refuses."""
        return self.target.server_version >= ON_ERROR_SINCE

    # --- staging tables

    @cached_property
    def create_typed(self) -> str:
        """Columns as in the target, without its constraints."""
        columns = ", ".join(
            f"{column.quoted_name} {column.type_name}"
            + (f" collate {column.collation_name}" if column.has_collation else "")
            for column in self.mapping.columns
        )
        return (
            f"create temporary table if not exists {self.typed} ({NUMBER} int not null, {columns}) {self.ending}"
        )

    @cached_property
    def create_texts(self) -> str:
        """The same columns as text, named by their place."""
        columns = ", ".join(f"c{index} text" for index in range(len(self.mapping.columns)))
        return (
            f"create temporary table if not exists {self.texts} ({NUMBER} int not null, {columns}) {self.ending}"
        )

    @cached_property
    def missing_numbers(self) -> str:
        """Which of $1 records did not arrive in the typed table."""
        sent = "select g from generate_series(0, $1::int - 1) g"
        return f"select array({sent} except select {NUMBER} from {self.typed})"

    @cached_property
    def remove(self) -> str:
        """Take refused rows out of the typed table."""
        return f"delete from {self.typed} where {NUMBER} = any ($1::int[])"

    @cached_property
    def insert_texts(self) -> str:
        """One record into the text table, by parameters."""
        values = ", ".join(f"${place + 2}::text" for place in range(len(self.mapping.columns)))
        return f"insert into {self.texts} values ($1::int, {values})"

    @cached_property
    def clear_texts(self) -> str:
        """Empty the text table."""
        return f"delete from {self.texts}"

    @cached_property
    def convert_texts(self) -> str:
        """From text to types, for the rows not in $1; they have been found valid."""
        values = ", ".join(f"c{index}::{column.type_name}" for index, column in enumerate(self.mapping.columns))
        return (
            f"insert into {self.typed} ({NUMBER}, {self._column_list}) "
            f"select {NUMBER}, {values} from {self.texts} where {NUMBER} <> all ($1::int[])"
        )

    # --- the merge

    @cached_property
    def matches(self) -> str:
        """Staged row s is one of the target's row t."""
        return self._same_key("t", "s")

    def _same_key(self, left: str, right: str) -> str:
        return " and ".join(f"{left}.{name} {op} {right}.{name}" for name, op in self._key_operators)

    @cached_property
    def _key_operators(self) -> list[tuple[str, str]]:
        index = next(each for each in self.target.indexes if each.name == self.mapping.key_index)
        operators = dict(zip(index.columns, index.operators, strict=True))
        return [(column.quoted_name, operators[column.name]) for column in self.mapping.key]

    @cached_property
    def differs(self) -> str:
        """Staged row s has other values than the target's row t, among those that an update may touch."""
        return " or ".join(self._differs_in(column) for column in self.rules.compared) or "false"

    def _differs_in(self, column: TargetColumn) -> str:
        name = column.quoted_name
        differs = distinct(column, f"t.{name}", f"s.{name}")
        # "is distinct from null", since "is not null" is another thing for composite types.
        return f"(s.{name} is distinct from null and {differs})" if column.name in self.rules.kept else differs

    @cached_property
    def sets(self) -> str:
        """What an update of row t by staged row s assigns."""
        return ", ".join(self._set(column) for column in self.rules.written)

    def _set(self, column: TargetColumn) -> str:
        name = column.quoted_name
        return f"{name} = " + (f"coalesce(s.{name}, t.{name})" if column.name in self.rules.kept else f"s.{name}")

    @staticmethod
    def _only(is_part: bool) -> str:
        return f" where s.{NUMBER} = any ($1::int[])" if is_part else ""

    @property
    def has_number_key(self) -> bool:
        """Whether the key is one whole number, so that a span of keys bounds how many rows it can hold."""
        return len(self.mapping.key) == 1 and self.mapping.key[0].type_name in _WHOLE_NUMBERS

    @cached_property
    def key_span(self) -> str:
        """The least and the greatest key that are staged, and whether any occurs twice."""
        key = f"s.{self._key[0]}"
        return (
            f"select min({key}) as least, max({key}) as greatest, count(distinct {key}) < count(*) as has_repeats "
            f"from {self.typed} s"
        )

    def classify(self, *, is_part: bool, is_span: bool = False) -> str:
        """Which rows are new, and which exist and differ; the others are unchanged.

        ``is_span``: no key is less than $1 or greater than $2, so that no other rows of the target need be read.
        """
        kind = self.mapping.key[0].type_name
        within = f" and t.{self._key[0]} between $1::{kind} and $2::{kind}" if is_span else ""
        differs = self.differs if self.rules.updates else "true"
        there = f"t.{self._key[0]} is not null"
        numbers = f"pg_catalog.array_agg(s.{NUMBER})"
        return (
            f"select coalesce({numbers} filter (where not {there}), '{{}}') as new_rows, "
            f"coalesce({numbers} filter (where {there} and ({differs})), '{{}}') as found_rows "
            f"from {self.typed} s left join {self.target.quoted_name} t on {self.matches}{within}"
            f"{self._only(is_part)}"
        )

    def repeats(self, *, is_part: bool) -> str:
        """The numbers of rows whose key an earlier row has, each with how many are before it."""
        return (
            f"select {NUMBER} as number, before from (select s.{NUMBER}, "
            f"row_number() over (partition by {self._keys('s')} order by s.{NUMBER}) - 1 as before "
            f"from {self.typed} s{self._only(is_part)}) ranked where before > 0 order by {NUMBER}"
        )

    def has_repeats(self, *, is_part: bool) -> str:
        """Whether any key occurs twice."""
        if self.has_number_key:
            return f"select count(distinct s.{self._key[0]}) < count(*) from {self.typed} s{self._only(is_part)}"
        return (
            f"select exists (select from {self.typed} s{self._only(is_part)} group by {self._keys('s')} "
            "having count(*) > 1)"
        )

    def insert(self, *, is_part: bool, yields: bool) -> str:
        """Add rows, keys in order; ``yields``: pass over those whose key exists."""
        order = self._keys("s") if self._key else f"s.{NUMBER}"
        conflict = f" on conflict ({', '.join(self._key)}) do nothing" if yields and self._key else ""
        return (
            f"insert into {self.target.quoted_name} ({self._column_list}) overriding system value "
            f"select {', '.join(f's.{name}' for name in self._names)} from {self.typed} s{self._only(is_part)} "
            f"order by {order}{conflict}"
        )

    @cached_property
    def update(self) -> str:
        """Write the rows in $1, keys in order."""
        return (
            f"update {self.target.quoted_name} t set {self.sets} "
            f"from (select * from {self.typed} s{self._only(is_part=True)} order by {self._keys('s')}) s "
            f"where {self.matches}"
        )

    def _keys(self, alias: str) -> str:
        return ", ".join(f"{alias}.{name}" for name in self._key)

    @cached_property
    def digests(self) -> str:
        """Of the staged rows, in order: their numbers, and digests of their keys and of what is compared."""
        compared = ", ".join(f"s.{column.quoted_name}" for column in self.rules.compared)
        key, row = f"row({self._keys('s')})", f"row({compared})"
        return (
            f"select array_agg(s.{NUMBER} order by s.{NUMBER}) as numbers, "
            f"array_agg(hashtextextended({key}::text, 0) order by s.{NUMBER}) as keys, "
            f"array_agg(hashtextextended({row}::text, 1) order by s.{NUMBER}) as records from {self.typed} s"
        )

    @cached_property
    def landed(self) -> str | None:
        """The rows of the target that the staged ones in $1 became, long values cut, as ``landed``, a JSON text.

        Without a key they are added once more to be seen. None: the role may see no column.
        """
        seen = ", ".join(f"t.{column.quoted_name}" for column in self.target.columns if column.may_select)
        if not seen:
            return None
        shown = (
            "(select json_object_agg(e.key, case when length(e.value::text) > 500 "
            "then to_json(left(e.value #>> '{}', 200) || '…') else e.value end) "
            f"from json_each((select to_json(p) from (select {seen}) p)) e)::text as landed"
        )
        if self._key:
            return (
                f"select {shown} from {self.typed} s join {self.target.quoted_name} t on {self.matches}"
                f"{self._only(is_part=True)} order by s.{NUMBER}"
            )
        values = ", ".join(f"s.{name}" for name in self._names)
        return (
            f"insert into {self.target.quoted_name} as t ({self._column_list}) overriding system value "
            f"select {values} from {self.typed} s{self._only(is_part=True)} order by s.{NUMBER} returning {shown}"
        )

    @cached_property
    def drop_all(self) -> str:
        """Take the staging tables away, for the next batch of the same transaction."""
        return f"drop table if exists {self.typed}, {self.texts}, {self.outcomes}"

    @cached_property
    def is_empty(self) -> str:
        """Whether no row of the target is to be seen."""
        return f"select not exists (select from {self.target.quoted_name})"
