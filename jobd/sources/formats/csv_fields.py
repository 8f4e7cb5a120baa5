"""The fields of one record of CSV that stands alone: of one that was refused, as far as it can be made out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.sources.copy_dialect import decode_field
from jobd.sources.formats.csv_cutter import CsvShape, cut

if TYPE_CHECKING:
    from jobd.sources.copy_dialect import CopyDialect, FieldValue


def divided(record: bytes, dialect: CopyDialect) -> list[FieldValue] | None:
    """Its values, what is no text in them as U+FFFD; None where a quote is never closed."""
    shape = CsvShape(
        delimiter=ord(dialect.delimiter), quote=ord(dialect.quote), escape=ord(dialect.escape), newline=ord("\n")
    )
    found = cut(record + b"\n", shape)
    if not len(found):
        return None
    values, start = [], 0
    for stop in found.separators[: int(found.counts[0])].tolist():
        values.append(decode_field(record[start:stop], dialect))
        start = stop + 1
    return values
