"""How COPY (FORMAT csv) reads bytes as fields: what it must be told, and one field as it understands it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDialect:
    """What COPY (FORMAT csv) must be told to read a batch's bytes.

    ``encoding`` is PostgreSQL's name and ``codec`` Python's name of the same character set. NULL is always the
    unquoted empty field. ``line_end`` is how every record of ``data`` ends.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    encoding: str = "UTF8"
    codec: str = "utf-8"
    line_end: bytes = b"\n"

    @property
    def null(self) -> str:
        """The text that stands for NULL when it is not quoted."""
        return ""


class FieldValue(NamedTuple):
    """One field as COPY understands it; ``text`` of an unquoted empty field is ``''`` (COPY's NULL)."""

    text: str
    was_quoted: bool


def decode_field(raw: bytes, dialect: CopyDialect) -> FieldValue:
    """One field's bytes as COPY reads them: quotes switch quoting on and off wherever they stand."""
    quote = dialect.quote.encode()
    if quote not in raw:
        return FieldValue(raw.decode(dialect.codec, "replace"), was_quoted=False)
    escape = dialect.escape.encode()
    if escape == quote:
        # Quotes divide the field into stretches outside, inside, outside, … of them; nothing between two that are
        # inside means a doubled quote, which stands for one.
        parts = raw.split(quote)
        text = [parts[0]]
        for index in range(1, len(parts)):
            if index % 2 and index > 1 and not parts[index - 1]:
                text.append(quote)
            text.append(parts[index])
        return FieldValue(b"".join(text).decode(dialect.codec, "replace"), was_quoted=True)
    return FieldValue(_unescape(raw, quote[0], escape[0]).decode(dialect.codec, "replace"), was_quoted=True)


def _unescape(raw: bytes, quote: int, escape: int) -> bytes:
    text = bytearray()
    is_inside = False
    index = 0
    while index < len(raw):
        byte = raw[index]
        if is_inside and byte == escape and raw[index + 1 : index + 2] in (bytes([quote]), bytes([escape])):
            index += 1
            text.append(raw[index])
        elif byte == quote:
            is_inside = not is_inside
        else:
            text.append(byte)
        index += 1
    return bytes(text)
