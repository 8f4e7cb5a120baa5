"""What stands in front of each record as it is sent: the constants, and where the record came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from jobd.errors import OptionError

if TYPE_CHECKING:
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.sources import CopyDialect, RecordBatch

# The bytes in front of every record, or those in front of each of them.
Leads: TypeAlias = "bytes | list[bytes]"


class Origin(StrEnum):
    """What can be told of a record's origin, in the order in which it is sent."""

    JOB_ID = "job_id"
    IMPORTED_AT = "imported_at"
    FILE = "file"
    ROW_NUMBER = "row_number"


def constants_prefix(mapping: FieldMapping, dialect: CopyDialect, null_word: str) -> bytes:
    """The constants as CSV fields; a text is always quoted, so that it is no null word."""
    parts = []
    for column, text in mapping.constants:
        try:
            parts.append(_field(null_word if text is None else _quoted(text, dialect), dialect))
        except UnicodeEncodeError as error:
            raise OptionError(
                f"option constants: {text!r} of column {column.name} cannot be written in the file's encoding, "
                f"{dialect.encoding}"
            ) from error
    return b"".join(parts)


def _quoted(text: str, dialect: CopyDialect) -> str:
    escaped = text.replace(dialect.escape, dialect.escape * 2)
    if dialect.escape != dialect.quote:
        escaped = escaped.replace(dialect.quote, dialect.escape + dialect.quote)
    return dialect.quote + escaped + dialect.quote


def _field(text: str, dialect: CopyDialect, errors: str = "strict") -> bytes:
    return (text + dialect.delimiter).encode(dialect.codec, errors)


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """The fields in front of the records of one batch, which is given as it was read.

    The time of the import is the transaction's, and so becomes known only when the batch is sent.
    """

    mapping: FieldMapping
    constants: bytes
    job_id: str
    batch: RecordBatch

    def leads(self, imported_at: str | None) -> Leads:
        """The fields as they are sent. A file's name that cannot be written is written with escapes."""
        dialect = self.batch.dialect
        origins = [origin for origin, _ in self.mapping.provenance]
        lead = self.constants
        for origin, text in ((Origin.JOB_ID, self.job_id), (Origin.IMPORTED_AT, imported_at or "")):
            if origin in origins:
                lead += _field(_quoted(text, dialect), dialect)
        names = [span.name for span in self.batch.spans] if Origin.FILE in origins else []
        by_file = [lead + _field(_quoted(name, dialect), dialect, "backslashreplace") for name in names] or [
            lead
        ] * len(self.batch.spans)
        if Origin.ROW_NUMBER not in origins and len(set(by_file)) <= 1:
            return by_file[0] if by_file else lead
        before, after = dialect.quote.encode(), (dialect.quote + dialect.delimiter).encode()
        leads: list[bytes] = []
        for start_of, span in zip(by_file, self.batch.spans, strict=True):
            rows = self.batch.rows[len(leads) : span.stop].tolist()
            if Origin.ROW_NUMBER in origins:
                start_of += before  # noqa: PLW2901
                leads += [start_of + b"%d" % row + after for row in rows]
            else:
                leads += [start_of] * len(rows)
        return leads

    def texts(self, number: int, imported_at: str | None) -> list[str | None]:
        """The same fields of one record as texts."""
        return [
            *(text for _, text in self.mapping.constants),
            *(self._origin(origin, number, imported_at) for origin, _ in self.mapping.provenance),
        ]

    def _origin(self, origin: Origin, number: int, imported_at: str | None) -> str | None:
        match origin:
            case Origin.JOB_ID:
                return self.job_id
            case Origin.IMPORTED_AT:
                return imported_at
            case Origin.FILE:
                name = self.batch.file_of(number)
                return name.encode(self.batch.dialect.codec, "backslashreplace").decode(self.batch.dialect.codec)
            case Origin.ROW_NUMBER:
                return str(int(self.batch.rows[number]))
