"""Refused records as CSV: in their own columns, as they were written, with what is wrong behind them.

The records stay in the file's own dialect and character set, byte for byte, so that the mended file can be
submitted with the same options. Values beyond the last column, for which a record was refused, follow the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ADDED_COLUMNS = ("_jobd_row", "_jobd_line", "_jobd_field", "_jobd_reason")


class RefusedCsv:
    """Turns rows of refused records into lines, the header before the first."""

    def __init__(self, detected: Mapping[str, Any] | None) -> None:
        source = (detected or {}).get("source") or {}
        shape = source.get("shape") or {}
        self._is_json = source.get("format") in {"json", "jsonl"}
        self._delimiter = chr(shape.get("delimiter", ord(",")))
        self._quote = chr(shape.get("quote", ord('"')))
        self._escape = chr(shape.get("escape", ord('"')))
        # What PostgreSQL cannot read by itself was turned into UTF-8 before the records were cut.
        self._codec = "utf-8" if source.get("is_transcoded") else source.get("encoding") or "utf-8"
        self._columns = _columns(detected or {})
        self._is_begun = False

    def line(self, row: Mapping[str, Any]) -> bytes:
        """The line of one refused record."""
        text = row["record"].decode(self._codec, "surrogateescape").rstrip("\r\n")
        fields = list(self._json_fields(text, row) if self._is_json else self._csv_fields(text))
        if self._columns is None:
            self._columns = [f"column_{number}" for number in range(1, len(fields) + 1)]
        width = len(self._columns)
        own = fields[:width] + [""] * (width - len(fields))
        reason = [self._written(row[name]) for name in ("row_number", "line_number", "field", "reason")]
        return self.header_if_missing() + self._line([*own, *reason, *fields[width:]])

    def header_if_missing(self) -> bytes:
        """The header line, the first time."""
        if self._is_begun:
            return b""
        self._is_begun = True
        return self._line([self._written(name) for name in (*(self._columns or ()), *ADDED_COLUMNS)])

    def _line(self, fields: Sequence[str]) -> bytes:
        return (self._delimiter.join(fields) + "\n").encode(self._codec, "surrogateescape")

    def _written(self, value: object, *, always_quoted: bool = False) -> str:
        """A value of our own, quoted where it must be; what the character set lacks becomes ?."""
        if value is None:
            return ""
        text = str(value).encode(self._codec, "replace").decode(self._codec)
        if always_quoted or any(sign in text for sign in (self._delimiter, self._quote, "\n", "\r")):
            # The escape first, or it would be doubled again in front of the quotes.
            for sign in dict.fromkeys((self._escape, self._quote)):
                text = text.replace(sign, self._escape + sign)
            return f"{self._quote}{text}{self._quote}"
        return text

    def _csv_fields(self, text: str) -> Iterator[str]:
        """The fields as they are written, quotes and all."""
        fields, start, is_quoted, is_escaped = [], 0, False, False
        for place, sign in enumerate(text):
            if is_escaped:
                is_escaped = False
            elif sign == self._escape != self._quote and is_quoted:
                is_escaped = True
            elif sign == self._quote:
                is_quoted = not is_quoted
            elif sign == self._delimiter and not is_quoted:
                fields.append(text[start:place])
                start = place + 1
        if is_quoted:
            # A quote that is never closed would swallow the columns behind it: all of it becomes one value.
            yield self._written(text, always_quoted=True)
            return
        yield from (*fields, text[start:])

    def _json_fields(self, text: str, row: Mapping[str, Any]) -> Iterator[str]:
        """The members in the order of the columns.

        What the reader refused is kept as it stood in the file; what the database refused, as the CSV that the
        reader had made of it.
        """
        if not row["is_unread"]:
            yield from self._csv_fields(text)
            return
        try:
            members = orjson.loads(text.encode("utf-8", "surrogateescape"))
        except orjson.JSONDecodeError:
            members = None
        if not isinstance(members, dict):
            # It fits no column: it goes behind the last of them, whole.
            yield from [""] * len(self._columns or ())
            yield self._written(text, always_quoted=True)
            return
        if self._columns is None:
            self._columns = list(members)
        for name in self._columns:
            value = members.get(name)
            if value is None or isinstance(value, str):
                # Null is an empty field, an empty text a quoted one, as in every import.
                yield self._written(value, always_quoted=value == "")
            else:
                yield self._written(orjson.dumps(value).decode())


def _columns(detected: Mapping[str, Any]) -> list[str] | None:
    """The file's own column names; where it has none, those of the target that its columns go to."""
    source, target = detected.get("source") or {}, detected.get("target") or {}
    if source.get("header"):
        return list(source["header"])
    if not source.get("column_count"):
        return None
    names = [f"column_{number}" for number in range(1, source["column_count"] + 1)]
    for position, _, column in target.get("fields") or ():
        names[position] = column
    return names
