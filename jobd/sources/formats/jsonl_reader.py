"""JSON Lines as CSV text, so that from here on it shares every rule with CSV.

The decoder validates each line and says where each value lies; values are then copied, not built: a number
arrives as it is written, a string as the same characters, an object or array as its own JSON text. A missing key
and a JSON null are an unquoted empty field, strings are always quoted. Of a key that occurs twice in a line the
last counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block, accepts_nothing, refused_block
from jobd.sources.formats.csv_cutter import LF, CsvShape, Marks
from jobd.sources.formats.encodings import is_decodable
from jobd.sources.formats.json_escapes import NulCharacter, unescaped
from jobd.sources.formats.window import Window
from jobd.sources.options import RAW_BYTES_MAX, RECORD_BYTES_MAX
from jobd.sources.records import CopyDialect
from jobd.sources.splice import keep_spans
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jobd.sources.formats.block import Accepts, NewFields
    from jobd.sources.records import RefusedRecord
    from jobd.sources.stream import Stream

    Values = tuple[msgspec.Raw | bytes, ...]
    Csv = tuple[bytes, np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int32]]]

_SHAPE = CsvShape(delimiter=ord(","), quote=ord('"'), escape=ord('"'))
_MISSING = msgspec.Raw(b"")
_BLANKS = b" \t\r\n"
_PAIRS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLinesFormat:
    """One JSON object per line; ``header`` are the keys that become columns."""

    header: list[str]
    data_position: int = 0
    data_line: int = 1
    ignore_unknown: bool = False
    record_bytes_max: int = RECORD_BYTES_MAX
    dialect: CopyDialect = field(default_factory=CopyDialect)

    @property
    def column_count(self) -> int:
        """Keys that become columns."""
        return len(self.header)

    def frozen(self) -> dict[str, Any]:
        """What ``reopen_json_lines`` takes."""
        return {
            "header": self.header,
            "column_count": self.column_count,
            "data_position": self.data_position,
            "data_line": self.data_line,
        }

    def widened(self, names: Sequence[str]) -> JsonLinesFormat:
        """More keys become columns."""
        return replace(self, header=[*self.header, *names])

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Records from ``position`` on, which is where a line begins."""
        del accepts
        convert = _Conversion(self)
        for start, text, first_line, is_long in self._lines(stream, position, line):
            block = convert.long(text, start, first_line) if is_long else convert.block(text, start, first_line)
            if block is not None:
                yield block

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of lines that are not blank."""
        for _, text, _, is_long in self._lines(stream, self.data_position, self.data_line):
            yield 1 if is_long else len(_line_ends(text)) - _blank_lines(text)

    def _lines(self, stream: Stream, position: int, line: int) -> Iterator[tuple[int, bytes, int, bool]]:
        """Whole lines at a time: their place, their bytes, the first one's number, whether it is one too long.

        Of a line that is too long the place is behind it, and the bytes are only its beginning.
        """
        window = Window(stream, position)
        size = READ_BYTES
        while seen := window.look(size):
            stop = len(seen) if window.is_last(size) else seen.rfind(b"\n") + 1
            if stop > self.record_bytes_max:
                stop = _before_long_line(seen[:stop], self.record_bytes_max)
            if stop:
                yield window.start, seen[:stop], line, False
                line += seen.count(b"\n", 0, stop)
                window.advance(stop)
                size = READ_BYTES
            elif len(seen) > self.record_bytes_max:
                beginning = seen[:RAW_BYTES_MAX]
                _skip_line(window)
                yield window.start, beginning, line, True
                line += 1
                size = READ_BYTES
            else:
                size = min(size * 2, max(self.record_bytes_max + 1, READ_BYTES))


class _Conversion:
    """Turns lines into blocks, in bulk where all of them are good."""

    def __init__(self, jsonl: JsonLinesFormat) -> None:
        self._keys = jsonl.header
        self._limit = jsonl.record_bytes_max
        self._known = None if jsonl.ignore_unknown else frozenset(jsonl.header)
        self._decode, self._decode_lines = _decoders(jsonl.header, ignore_unknown=jsonl.ignore_unknown)

    def long(self, beginning: bytes, position: int, line: int) -> Block:
        """The block of one line that was too long; ``position`` is behind it."""
        return refused_block(
            refusal.refused(refusal.too_long(self._limit), line, beginning),
            position=position,
            line=line,
            next_line=line + 1,
            source=b"",
            columns=len(self._keys),
        )

    def block(self, text: bytes, position: int, line: int) -> Block | None:
        """The block of some whole lines; None where all of them are blank."""
        ends = _line_ends(text)
        numbers = np.arange(len(ends))
        refused_at: list[int] = []
        refused: list[RefusedRecord] = []
        csv = self._csv_at_once(text, len(ends))
        if csv is None:
            rows, is_record, refused_at, refused = self._rows_one_by_one(text, line)
            ends, numbers = ends[is_record], numbers[is_record]
            if not len(ends):
                return None
            csv = self._csv(text, rows)
        data, record_ends, field_ends = csv
        return Block(
            positions=position + ends,
            lines=line + numbers,
            next_lines=line + numbers + 1,
            refused_at=refused_at,
            refused=refused,
            data=data,
            ends=record_ends,
            field_ends=field_ends,
            source=text,
            source_start=position,
        )

    def _csv_at_once(self, text: bytes, lines: int) -> Csv | None:
        """All lines; None where any of them needs a look of its own."""
        if not is_decodable(text, "utf-8"):
            return None
        try:
            rows = self._decode_lines(text)
            # Objects may span lines for the decoder, and it passes blank lines by: then the numbers differ.
            return self._csv(text, rows) if len(rows) == lines else None
        except (msgspec.DecodeError, RecursionError, NulCharacter):
            return None

    def _rows_one_by_one(
        self, text: bytes, line: int
    ) -> tuple[list[Values], np.ndarray[Any, np.dtype[np.bool_]], list[int], list[RefusedRecord]]:
        rows: list[Values] = []
        refused: list[RefusedRecord] = []
        refused_at: list[int] = []
        lines = text.removesuffix(b"\n").split(b"\n")
        is_record = np.ones(len(lines), np.bool_)
        for index, record in enumerate(lines):
            if not record.strip(_BLANKS):
                is_record[index] = False
                continue
            reason = self._judge(record, rows)
            if reason is not None:
                refused_at.append(len(rows) + len(refused))
                refused.append(refusal.refused(reason[0], line + index, record, reason[1]))
        return rows, is_record, refused_at, refused

    def _judge(self, record: bytes, rows: list[Values]) -> tuple[tuple[str, str], str | None] | None:
        """Add the record to the rows, or say why not and in which field."""
        if b"\0" in record:
            return refusal.nul_byte(), None
        if not is_decodable(record, "utf-8"):
            return refusal.undecodable("utf-8"), None
        try:
            values = self._decode(record)
        except (msgspec.DecodeError, RecursionError) as error:
            return self._diagnosis(record, error)
        if rb"\u0000" in record:
            for key, value in zip(self._keys, values, strict=True):
                if bytes(value).startswith(b'"') and "\0" in msgspec.json.decode(value):
                    return refusal.nul_byte(), key
        rows.append(values)
        return None

    def _diagnosis(self, record: bytes, error: Exception) -> tuple[tuple[str, str], str | None]:
        if isinstance(error, RecursionError):
            return ("malformed_json", "is nested too deeply"), None
        try:
            pairs = _PAIRS.decode(record)
        except msgspec.ValidationError:
            return ("not_an_object", "is JSON, but not an object of keys and values"), None
        except msgspec.DecodeError as malformed:
            return ("malformed_json", f"is not JSON: {malformed}"), None
        unknown = next((key for key in pairs if self._known is not None and key not in self._known), None)
        if unknown is not None:
            return ("unknown_field", f"has the key {unknown!r}, which is none of the columns"), unknown
        return ("malformed_json", f"cannot be read: {error}"), None

    def _csv(self, text: bytes, rows: list[Values]) -> Csv:
        columns = len(self._keys)
        if not rows:
            return b"", np.zeros(0, np.int64), np.zeros((0, columns), np.int32)
        if b"[" in text or text.count(b"{") > len(rows):
            rows = [tuple(map(_nested_quoted, row)) for row in rows]
        data = unescaped(b"\n".join(map(b",".join, rows)) + b"\n")
        marks = Marks.of(data, _SHAPE, with_delimiters=True)
        separators = marks.positions if marks.is_inside is None else marks.positions[~marks.is_inside]
        fields = separators.reshape(-1, columns)
        data, fields = _without_nulls(data, fields)
        return data, fields[:, -1] + 1, fields.astype(np.int32)


def _nested_quoted(value: msgspec.Raw | bytes) -> bytes:
    """An object or array as one CSV field that survives what :func:`unescaped` does to strings."""
    raw = bytes(value)
    if raw[:1] not in {b"{", b"["}:
        return raw
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'""') + b'"'


def _without_nulls(
    data: bytes, fields: np.ndarray[Any, np.dtype[np.int64]]
) -> tuple[bytes, np.ndarray[Any, np.dtype[np.int64]]]:
    """Cut out every bare ``null``: only that begins with an n outside quotes."""
    ends = fields.ravel()
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    is_null = np.frombuffer(data, np.uint8)[starts] == ord("n")
    if not is_null.any():
        return data, fields
    data = keep_spans(data, np.where(is_null, ends, starts), ends + 1)
    return data, (ends - 4 * np.cumsum(is_null)).reshape(fields.shape)


def _decoders(
    keys: list[str], *, ignore_unknown: bool
) -> tuple[Callable[[bytes], Values], Callable[[bytes], list[Values]]]:
    """How to get one line's, and many lines' values in the order of the keys."""
    names = {f"field_{index}": key for index, key in enumerate(keys)}
    try:
        record = msgspec.defstruct(
            "Record",
            [(name, msgspec.Raw, _MISSING) for name in names],
            rename=names,
            forbid_unknown_fields=not ignore_unknown,
            gc=False,
        )
    except ValueError:
        # Keys with quotes or control characters cannot be fields of a struct.
        def values(line: bytes) -> Values:
            pairs = _PAIRS.decode(line)
            if not ignore_unknown and len(pairs) > len(known.intersection(pairs)):
                raise msgspec.ValidationError("unknown key")
            return tuple(map(pairs.get, keys, repeat(_MISSING)))

        known = frozenset(keys)
        return values, lambda text: [values(line) for line in text.removesuffix(b"\n").split(b"\n")]
    decoder = msgspec.json.Decoder(record)
    return lambda line: astuple(decoder.decode(line)), lambda text: list(map(astuple, decoder.decode_lines(text)))


def _line_ends(text: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == LF) + 1
    return ends if text.endswith(b"\n") else np.append(ends, len(text))


def _before_long_line(text: bytes, limit: int) -> int:
    """Where the first line that is too long begins; the end of the text when none is."""
    ends = _line_ends(text)
    over = np.flatnonzero(np.diff(ends, prepend=0) > limit)
    if not len(over):
        return len(text)
    return int(ends[over[0] - 1]) if over[0] else 0


def _blank_lines(text: bytes) -> int:
    """Lines with nothing but blanks, which are looked for only where a short line exists at all."""
    ends = _line_ends(text)
    array = np.frombuffer(text, np.uint8)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    suspects = np.flatnonzero(np.isin(array[starts], np.frombuffer(_BLANKS, np.uint8)))
    return sum(not text[starts[index] : ends[index]].strip(_BLANKS) for index in suspects.tolist())


def _skip_line(window: Window) -> None:
    while seen := window.look(READ_BYTES):
        end = seen.find(b"\n") + 1
        window.advance(end or len(seen))
        if end:
            return
