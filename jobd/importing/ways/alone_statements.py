"""The statement that takes rows one after the other; composed as in ``statements``.

It runs inside the server, where handling a row alone costs microseconds instead of several round trips.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from jobd.importing.ways.statements import NUMBER, literal
from jobd.model.options import OnConflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.target import TargetColumn
    from jobd.importing.ways.change_statements import ChangeStatements
    from jobd.importing.ways.statements import Statements

# Not the row's fault: the batch is tried again, or the job fails. See ``codes.is_about_a_row``.
_NOT_OF_A_ROW = "'08', '25', '26', '28', '3D', '3F', '40', '42', '53', '55', '57', '58', 'XX'"


class AloneStatements:
    """What is needed to take rows alone, and to hear what became of them."""

    def __init__(self, statements: Statements, changes: ChangeStatements) -> None:
        self._all = statements
        self._changes = changes
        self._target = statements.target
        self._columns = statements.mapping.columns

    @cached_property
    def create_outcomes(self) -> str:
        """Where ``one_by_one`` writes down what became of rows: those taken as lists, in a row without number."""
        return (
            f"create temporary table if not exists {self._all.outcomes} (number int, sqlstate text, message text, "
            f"constraint_name text, column_name text, added int[], updated int[], unchanged int[], skipped int[]) "
            f"{self._all.ending}"
        )

    @cached_property
    def take_outcomes(self) -> str:
        """Read what ``one_by_one`` wrote down, once."""
        return f"delete from {self._all.outcomes} returning *"

    def one_by_one(self, numbers: Sequence[int]) -> str:
        """Handle rows alone, in file order, inside the server: each in a block that can be undone."""
        listed = ",".join(map(str, sorted(numbers)))
        key_index = literal(self._all.mapping.key_index or "")
        # Random as the table's name is: a column may have any name, also one that would end the text.
        quote = f"$jobd_{self._all.typed.rpartition('_')[2]}$"
        return f"""
            do {quote}
            declare
                s record;
                attempts int;
                touched bigint;
                is_there boolean;
                is_different boolean;
                state text;
                said text;
                rule text;
                field text;
                twin jsonb;
                likeness real;
                row_key jsonb;
                old_image jsonb;
                new_image jsonb;
                added int[] := '{{}}';
                updated int[] := '{{}}';
                unchanged int[] := '{{}}';
                skipped int[] := '{{}}';
            begin
                {self._prepare_similar()}
                for s in
                    select * from {self._all.typed} where {NUMBER} = any ('{{{listed}}}'::int[]) order by {NUMBER}
                loop
                    attempts := 0;
                    loop
                        attempts := attempts + 1;
                        begin
                            {self._refuse_similar()}
                            {self._one_row()}
                            exit;
                        exception when others then
                            get stacked diagnostics state = returned_sqlstate, said = message_text,
                                rule = constraint_name, field = column_name;
                            if left(state, 2) in ({_NOT_OF_A_ROW})
                                and not (state = '42501' and {self._has_policies})
                            then
                                raise;
                            end if;
                            -- Somebody else may have added the row just now: look again.
                            if state = '23505' and rule = {key_index} and attempts < 3 then
                                continue;
                            end if;
                            insert into {self._all.outcomes}
                                (number, sqlstate, message, constraint_name, column_name)
                            values (s.{NUMBER}, state, left(said, 2000), nullif(left(rule, 63), ''),
                                nullif(left(field, 63), ''));
                            exit;
                        end;
                    end loop;
                end loop;
                insert into {self._all.outcomes} (added, updated, unchanged, skipped)
                values (added, updated, unchanged, skipped);
            end {quote}
        """

    def _prepare_similar(self) -> str:
        """Let the operator find what any of the rules may refuse, through an index where there is one."""
        rules = self._all.rules.similar
        if not rules:
            return ""
        # A little less, as the operator compares a float4 with a float8.
        least = max(0.0, min(rule.threshold for rule in rules) - 1e-6)
        return f"""
            perform {self._target.trigram_schema}.similarity('', '');
            perform set_config('pg_trgm.similarity_threshold', '{least:.7f}', true);
            perform set_config('enable_seqscan', 'off', true);
        """

    def _refuse_similar(self) -> str:
        schema = self._target.trigram_schema
        key = self._all.mapping.key or self._primary_key
        shown = ", ".join(f"{literal(column.name)}, t.{column.quoted_name}" for column in key)
        others = f"and not ({self._all.matches})" if self._all.mapping.key else ""
        order = "".join(f", t.{column.quoted_name}" for column in key)
        return "".join(
            f"""
            select jsonb_build_object({shown}), {schema}.similarity(t.{name}::text, s.{name}::text)
            into twin, likeness
            from {self._target.quoted_name} t
            where t.{name}::text operator({schema}.%) s.{name}::text {others}
                and {schema}.similarity(t.{name}::text, s.{name}::text) >= {threshold!r}::real
            order by {schema}.similarity(t.{name}::text, s.{name}::text) desc{order}
            limit 1;
            if found then
                insert into {self._all.outcomes} (number, sqlstate, message, column_name) values (
                    s.{NUMBER}, 'similar',
                    {literal(column_name)} || ' resembles that of the row ' || twin || ': similarity '
                        || round(likeness::numeric, 4),
                    {literal(column_name)}
                );
                exit;
            end if;
            """
            for name, column_name, threshold in (
                (rule.column.quoted_name, rule.column.name, rule.threshold) for rule in self._all.rules.similar
            )
        )

    def _returning_added(self) -> str:
        if not self._all.rules.tracks:
            return ""
        return f"returning {self._changes.key('t')}, {self._changes.added_image('t')} into row_key, new_image"

    def _note_added(self) -> str:
        """As other triggers of the insert left the row, where the key still leads to it."""
        if not self._all.rules.tracks:
            return ""
        return f"""
            select {self._changes.added_image("t")} into old_image
            from {self._target.quoted_name} t where {self._all.matches};
            insert into {self._changes.table} (number, change, key, after)
            values (s.{NUMBER}, 'added', row_key, coalesce(old_image, new_image));
        """

    def _note_before(self) -> str:
        if not self._all.rules.tracks:
            return ""
        return f"""
            select {self._changes.key("t")}, {self._changes.updated_image("t")} into row_key, old_image
            from {self._target.quoted_name} t where {self._all.matches} for no key update;
        """

    def _note_after(self) -> str:
        if not self._all.rules.tracks:
            return ""
        return f"""
            select {self._changes.updated_image("t")} into new_image
            from {self._target.quoted_name} t where {self._all.matches};
            insert into {self._changes.table} (number, change, key, before, after)
            values (s.{NUMBER}, 'updated', row_key, old_image, coalesce(new_image, old_image));
        """

    @property
    def _primary_key(self) -> list[TargetColumn]:
        """What a row is called by where the import has no key."""
        columns = self._target.primary_key
        return [] if any(not column.may_select for column in columns) else columns

    @property
    def _has_policies(self) -> str:
        return "true" if self._target.has_row_security else "false"

    def _one_row(self) -> str:
        names = [column.quoted_name for column in self._columns]
        values = ", ".join(f"s.{name}" for name in names)
        insert = f"""
            insert into {self._target.quoted_name} as t ({", ".join(names)})
            overriding system value values ({values}) {self._returning_added()};
            get diagnostics touched = row_count;
            if touched = 0 then
                skipped := array_append(skipped, s.{NUMBER});
            else
                {self._note_added()}
                added := array_append(added, s.{NUMBER});
            end if;
        """
        if not self._all.mapping.key:
            return insert
        return f"""
            select true, {self._all.differs} into is_there, is_different
            from {self._target.quoted_name} t where {self._all.matches};
            if is_there then
                {self._existing_row()}
            else
                {insert}
            end if;
        """

    def _existing_row(self) -> str:
        match self._all.rules.on_conflict:
            case OnConflict.SKIP:
                return f"skipped := array_append(skipped, s.{NUMBER});"
            case OnConflict.ERROR:
                return f"insert into {self._all.outcomes} (number, sqlstate) values (s.{NUMBER}, 'exists');"
            case OnConflict.UPDATE if not self._all.rules.compared:
                return f"unchanged := array_append(unchanged, s.{NUMBER});"
            case _:
                return f"""
                    if is_different then
                        {self._note_before()}
                        update {self._target.quoted_name} t set {self._all.sets} where {self._all.matches};
                        get diagnostics touched = row_count;
                        if touched > 0 then
                            {self._note_after()}
                            updated := array_append(updated, s.{NUMBER});
                        elsif {self._has_policies} then
                            insert into {self._all.outcomes} (number, sqlstate, message) values
                                (s.{NUMBER}, '42501', 'row-level security does not let this row be updated');
                        else
                            skipped := array_append(skipped, s.{NUMBER});
                        end if;
                    else
                        unchanged := array_append(unchanged, s.{NUMBER});
                    end if;
                """
