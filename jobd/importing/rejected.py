"""The refused records of one batch themselves, as they are kept to be mended: their bytes and their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobd.model.row_error import REJECT_BYTES_MAX, STORED_MAX, RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.reject_fields import RejectFields

# Fewer are written sooner than a thread takes them over.
AHEAD_MIN = 100


class _Place(NamedTuple):
    """Where a refused record is: its row, and its number among the batch's or among the reader's."""

    row: int
    number: int
    is_of_reader: bool


class RejectedRecords:
    """Writes refused records, each once, as many as there is ``room`` for.

    Where half of a file is refused, that takes as long as PostgreSQL takes to say why; so it is done ahead.
    """

    def __init__(self, arranged: ArrangedBatch, fields: RejectFields, room: int = STORED_MAX) -> None:
        self._batch = arranged.original
        self._fields = fields
        self._room = room
        self._written: dict[_Place, RejectedRecord] = {}

    def are_many(self, numbers: Collection[int]) -> bool:
        """Whether so many of these records and the reader's are to be written that a thread should do it."""
        return min(len(numbers) + len(self._batch.refused), self._room) >= AHEAD_MIN

    def write(self, numbers: Collection[int]) -> list[RejectedRecord]:
        """The first of these records and the reader's, by file and row. May run in a thread, alone."""
        places = self._places(numbers)[: self._room]
        missing = [place for place in places if place not in self._written]
        raws = iter(self._batch.raw_records([place.number for place in missing if not place.is_of_reader]))
        for place in missing:
            self._written[place] = self._of_reader(place) if place.is_of_reader else self._of(place, next(raws))
        return [self._written[place] for place in places]

    def _places(self, numbers: Collection[int]) -> list[_Place]:
        batch = self._batch
        # A list, since an element of an array costs as much as all the rest.
        rows = batch.rows.tolist() if numbers else []
        found = [_Place(record.row_number, index, True) for index, record in enumerate(batch.refused)]
        found += [_Place(rows[number], number, False) for number in numbers]
        found.sort()
        if len(batch.spans) > 1:
            files = {span.name: order for order, span in enumerate(batch.spans)}
            found.sort(key=lambda place: files[self._file_of(place)])
        return found

    def _file_of(self, place: _Place) -> str:
        batch = self._batch
        return batch.file_of_refused(place.number) if place.is_of_reader else batch.file_of(place.number)

    def _of(self, place: _Place, raw: bytes) -> RejectedRecord:
        fields = self._fields.of(self._batch, place.number, raw)
        return RejectedRecord(place.row, raw[:REJECT_BYTES_MAX], self._file_of(place), fields)

    def _of_reader(self, place: _Place) -> RejectedRecord:
        record = self._batch.refused[place.number]
        fields = self._fields.of_refused(self._batch, record)
        return RejectedRecord(place.row, record.raw[:REJECT_BYTES_MAX], self._file_of(place), fields)
