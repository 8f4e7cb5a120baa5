"""The statements that note which rows were changed, and how; composed as in ``statements``.

Rows never travel to the client for it: they are noted in a temporary table, and handed from there to
``jobd.record_changes``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from jobd.importing.ways.statements import NUMBER, literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobd.importing.target import TargetColumn
    from jobd.importing.ways.statements import Statements

# boolean, numbers, texts, dates and times, uuid: JSON gives them back as they were. Others are kept as their text.
_PLAIN_OIDS = frozenset({16, 20, 21, 23, 25, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1700, 2950})
# A function takes 100 arguments at most.
_PAIRS_MAX = 50


def image(alias: str, columns: Iterable[TargetColumn]) -> str:
    """SQL for a row's columns as one JSON object."""
    pairs = [
        f"{literal(column.name)}, {alias}.{column.quoted_name}"
        + ("" if column.type_oid in _PLAIN_OIDS else "::text")
        for column in columns
    ]
    parts = [pairs[first : first + _PAIRS_MAX] for first in range(0, len(pairs), _PAIRS_MAX)]
    return " || ".join(f"jsonb_build_object({', '.join(part)})" for part in parts)


class ChangeStatements:
    """Statements about the changes of one batch, each noted under its record's number."""

    def __init__(self, statements: Statements) -> None:
        self._all = statements
        self._target = statements.target.quoted_name
        self.table = f"pg_temp.jobd_changes_{statements.token}"

    def key(self, alias: str) -> str:
        """The key of a row of the target."""
        return image(alias, self._all.mapping.key)

    def added_image(self, alias: str) -> str:
        """What is kept of a row that was added: all that the import wrote."""
        return image(alias, self._all.mapping.columns)

    def updated_image(self, alias: str) -> str:
        """What an update may have changed."""
        return image(alias, self._all.rules.written)

    @cached_property
    def create(self) -> str:
        """Where changes are noted until the batch's end."""
        return (
            f"create temporary table if not exists {self.table} "
            f"(number int, change text, key jsonb, before jsonb, after jsonb) {self._all.ending}"
        )

    @cached_property
    def clear(self) -> str:
        """Forget what was noted."""
        return f"truncate {self.table}"

    def note_added(self, *, is_part: bool) -> str:
        """Of staged rows that were just added; of all of them, or of those in $1."""
        only = f" where s.{NUMBER} = any ($1::int[])" if is_part else ""
        return (
            f"insert into {self.table} (number, change, key, after) "
            f"select s.{NUMBER}, 'added', {self.key('t')}, {self.added_image('t')} "
            f"from {self._all.typed} s join {self._target} t on {self._all.matches}{only}"
        )

    @cached_property
    def note_before(self) -> str:
        """Lock the rows in $1, keys in order, and note what they are before their update."""
        order = ", ".join(f"s.{column.quoted_name}" for column in self._all.mapping.key)
        return (
            f"insert into {self.table} (number, change, key, before) select * from ("
            f"select s.{NUMBER}, 'updated', {self.key('t')}, {self.updated_image('t')} "
            f"from {self._all.typed} s join {self._target} t on {self._all.matches} "
            f"where s.{NUMBER} = any ($1::int[]) order by {order} for no key update of t) locked"
        )

    @cached_property
    def note_after(self) -> str:
        """What became of the rows in $1."""
        return (
            f"insert into {self.table} (number, after) select s.{NUMBER}, {self.updated_image('t')} "
            f"from {self._all.typed} s join {self._target} t on {self._all.matches} "
            f"where s.{NUMBER} = any ($1::int[])"
        )

    @cached_property
    def record(self) -> str:
        """Hand the changes of the records $3 up to before $4 over.

        Of rows that were updated only the columns that differ are kept.
        """
        names = ("key", "before", "after")
        noted = ", ".join(f"(array_agg({name}) filter (where {name} is not null))[1] as {name}" for name in names)
        lists = ("c.key", "c.change", "d.before", "coalesce(d.after, c.after)")
        return (
            "select jobd.record_changes($1::uuid, $2::bigint, "
            + ", ".join(f"array_agg({each} order by c.number)" for each in lists)
            + f") from (select number, max(change) as change, {noted} from {self.table} "
            "where number >= $3::int and number < $4::int group by number) c left join lateral ("
            "select coalesce(jsonb_object_agg(b.key, b.value), '{}') as before, "
            "coalesce(jsonb_object_agg(b.key, a.value), '{}') as after "
            "from jsonb_each(c.before) b join jsonb_each(c.after) a on a.key = b.key "
            "where a.value::text <> b.value::text) d on c.change = 'updated' having count(*) > 0"
        )
