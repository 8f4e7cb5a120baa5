"""A batch as it is sent to COPY: mapped fields only, nulls as COPY is told of them, constants in front."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jobd.importing.fields.nulls import NullRule, NullWords, null_records, null_rule, with_null_rule
from jobd.importing.fields.prefix import Prefix, constants_prefix
from jobd.importing.fields.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.fields.prefix import Leads
    from jobd.importing.fields.values import FieldForms
    from jobd.importing.objections import Objections
    from jobd.importing.schema.row_schema import RowSchema
    from jobd.sources import CopyDialect, RecordBatch

_PIECE_RECORDS = 2500


class Arranger:
    """Arranges the batches of one source for one mapping."""

    def __init__(  # noqa: PLR0917  in the order in which they are made
        self,
        mapping: FieldMapping,
        needed: frozenset[str],
        words: NullWords,
        forms: FieldForms,
        schema: RowSchema | None,
        dialect: CopyDialect,
        job_id: str,
    ) -> None:
        self.job_id = job_id
        self._schema = schema
        self._needed = needed
        self.mapping = mapping
        self._words = words
        self._rule = null_rule(words, dialect)
        self._values = Values(forms, dialect, self._rule.word if self._rule else "")
        self._positions = [each.position for each in mapping.fields]
        self._constants = constants_prefix(mapping, dialect, self._rule.word if self._rule else "")

    def arrange(self, batch: RecordBatch) -> ArrangedBatch:
        """The batch, ready to be sent."""
        mapped = self._values.trimmed(batch.keep_columns(self._positions))
        worded, rule = with_null_rule(mapped, self.mapping, self._words, self._rule)
        ready, objections = self._values.read(worded, rule)
        if self._schema is not None:
            self._schema.judge(ready, rule, batch, objections)
        # Where this batch had to be rewritten, its word for null is another one than all others'.
        constants = self._constants
        if rule != self._rule:
            constants = constants_prefix(self.mapping, batch.dialect, rule.word)
        prefix = Prefix(mapping=self.mapping, constants=constants, job_id=self.job_id, batch=batch)
        nulls = np.zeros(len(ready), np.bool_)
        for place, each in enumerate(self.mapping.fields):
            column = each.column
            if column.name in self._needed and len(ready):
                nulls[null_records(ready, place, rule, is_text=column.is_text)] = True
        nulls[list(objections)] = True
        arranged = ArrangedBatch(
            batch=ready, original=batch, null=rule, prefix=prefix, lacking=nulls, objections=objections
        )
        _ = arranged.sent  # made here, in the reader's thread
        return arranged


@dataclass(frozen=True)
class ArrangedBatch:
    """Records by their place ``i`` among those that the reader took.

    ``lacking[i]``: it has a null too many, or one of the ``objections`` is to it.
    """

    batch: RecordBatch
    original: RecordBatch
    null: NullRule
    prefix: Prefix
    lacking: NDArray[np.bool_]
    objections: Objections

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def complete(self) -> NDArray[np.int64]:
        """Records that lack nothing."""
        return np.flatnonzero(~self.lacking)

    @cached_property
    def sent(self) -> RecordBatch:
        """The records that lack nothing, as they go to COPY."""
        return self.batch if not self.lacking.any() else self.batch.keep_records(~self.lacking)

    def direct(self, leads: Leads) -> list[bytes]:
        """What goes to COPY with a dummy header in front, and ``leads`` (see ``prefix``) before the records.

        The header is needed because COPY, before it knows how lines end, miscounts those of a first record that
        spans several.
        """
        header = b"jobd" + self.sent.dialect.line_end
        if not leads or not len(self.sent):
            return [header, self.sent.data]
        records = _records(self.sent)
        if isinstance(leads, bytes):
            return [header, leads + leads.join(records)]
        pieces = [header] * (2 * len(records))
        pieces[::2] = [leads[number] for number in self.complete.tolist()]
        pieces[1::2] = records
        return [header, b"".join(pieces)]

    def last_lines(self) -> NDArray[np.int64]:
        """The number of the line that COPY stands on when it has read each of the records sent directly."""
        mark = self.sent.dialect.line_end[0]
        places = np.flatnonzero(np.frombuffer(self.sent.data, np.uint8) == mark)
        return 1 + np.searchsorted(places, self.sent.ends, "left")

    def numbered(self, leads: Leads, numbers: Sequence[int] | None = None) -> Iterator[bytes]:
        """Records with their place as a first field, then ``leads``; all that lack nothing, or those named.

        In pieces, so that the server works on one while the next is made.
        """
        # Quoted, since a word for null may well be a number.
        quote, delimiter = self.batch.dialect.quote.encode(), self.batch.dialect.delimiter.encode()
        tail = quote + delimiter + (leads if isinstance(leads, bytes) else b"")
        chosen = self.complete.tolist() if numbers is None else numbers
        if len(chosen) == len(self.batch):
            chosen = range(len(self.batch))
        starts = self.batch.starts.tolist()
        ends = self.batch.ends.tolist()
        data = self.batch.data
        for first in range(0, len(chosen), _PIECE_RECORDS):
            part = chosen[first : first + _PIECE_RECORDS]
            pieces: list[bytes] = [tail] * (3 * len(part))
            pieces[::3] = [quote + b"%d" % number for number in part]
            if not isinstance(leads, bytes):
                pieces[1::3] = [tail + leads[number] for number in part]
            pieces[2::3] = [data[starts[number] : ends[number]] for number in part]
            yield b"".join(pieces)

    def raw(self, number: int) -> bytes:
        """A record as it stood in the file, without its line end."""
        return self.original.raw_record(number)


def _records(batch: RecordBatch) -> list[bytes]:
    data = batch.data
    starts = batch.starts.tolist()
    return [data[start:end] for start, end in zip(starts, batch.ends.tolist(), strict=True)]
