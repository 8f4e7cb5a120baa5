"""What the job's own rules have against records, before PostgreSQL judges them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREADABLE = "unreadable"
SCHEMA = "schema"


class Objection(NamedTuple):
    """One reason. ``place``: of the field among the mapped ones; None: of ``field``, or of the record as a whole.

    ``reason`` is what ``codes.classify`` takes; ``field`` a name of the target's, which need not be a column.
    """

    place: int | None
    reason: str
    message: str
    field: str | None = None


class Objections:
    """The objections to one batch, by the record's number in it."""

    def __init__(self) -> None:
        self._by_number: defaultdict[int, list[Objection]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._by_number)

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_number)

    def add(self, number: int, objection: Objection) -> None:
        """One more."""
        self._by_number[number].append(objection)

    def to(self, number: int) -> list[Objection]:
        """Those to one record."""
        return self._by_number.get(number, [])
