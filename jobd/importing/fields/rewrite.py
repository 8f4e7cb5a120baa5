"""Fields of a batch written anew, in bulk: everything else stays the bytes it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jobd.sources import CopyDialect, RecordBatch


def with_fields(
    batch: RecordBatch, records: NDArray[np.int64], places: NDArray[np.int64], texts: Sequence[bytes]
) -> RecordBatch:
    """The batch with ``texts[i]`` as field ``places[i]`` of record ``records[i]``; in the order of the file."""
    if not len(records):
        return batch
    old_ends = batch.field_ends[records, places].astype(np.int64)
    before = batch.field_ends[records, places - 1].astype(np.int64) + 1
    old_starts = np.where(places == 0, batch.starts[records], before)
    kept_from = np.concatenate((np.zeros(1, np.int64), old_ends))
    kept_to = np.append(old_starts, len(batch.data))
    data = batch.data
    pieces: list[bytes] = [b""] * (2 * len(texts) + 1)
    pieces[::2] = [data[start:end] for start, end in zip(kept_from.tolist(), kept_to.tolist(), strict=True)]
    pieces[1::2] = texts
    grown = np.zeros(batch.field_ends.shape, np.int64)
    grown[records, places] = np.fromiter(map(len, texts), np.int64, len(texts)) - (old_ends - old_starts)
    moved = np.cumsum(grown.ravel()).reshape(grown.shape)
    return replace(
        batch,
        data=b"".join(pieces),
        ends=batch.ends + moved[:, -1],
        field_ends=(batch.field_ends + moved).astype(np.int32),
    )


def as_field(text: str, dialect: CopyDialect, *, is_quoted: bool) -> bytes:
    """A text as a field for COPY; raises UnicodeEncodeError where the codec lacks a character."""
    quote, escape = dialect.quote, dialect.escape
    if is_quoted or not {dialect.delimiter, quote, "\r", "\n"}.isdisjoint(text):
        if escape != quote:
            text = text.replace(escape, escape * 2)
        text = quote + text.replace(quote, escape + quote) + quote
    return text.encode(dialect.codec)
