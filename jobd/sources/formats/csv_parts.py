"""From a stream to cuts: window by window, and what cannot be cut is got past record by record.

What a record is depends on its own bytes only, never on where windows or batches begin, so that reading on from
any cursor finds the same records.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block, refused_block
from jobd.sources.formats.csv_careful import cut_carefully
from jobd.sources.formats.csv_cutter import CR, CsvShape, Cut, Marks, cut, find_stray
from jobd.sources.formats.csv_long import EndScan
from jobd.sources.formats.csv_mask import begins_with_comment, masked
from jobd.sources.options import RAW_BYTES_MAX
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.sources.formats.window import Window

_CAREFUL_BYTES = 1 << 16  # looked at step by step where a stray quote was found
_END_OF_FILE = b"\x1a"  # Ctrl-Z, with which DOS ended text files
_PARTS_MAX = 2_000_000  # delimiters, quotes and line ends of a record longer than a window: 16 MB of positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A cut with the bytes it is of, ``size`` of which are the file's, and which of its records are strays.

    ``text`` is the buffer, masked.
    """

    buffer: bytes
    text: bytes
    cut: Cut
    position: int
    line: int
    size: int
    strays: list[int] = field(default_factory=list)


class CsvReading:
    """One pass over a stream."""

    def __init__(self, shape: CsvShape, window: Window, line: int, columns: int, record_bytes_max: int) -> None:
        self._shape = shape.masked
        self._full_shape = shape
        self._window = window
        self._line = line
        self._columns = columns
        self._limit = record_bytes_max
        self._size = READ_BYTES
        self._is_careful = False
        self._careful_until = -1  # a record that does not fit into what is looked at carefully begins here

    def parts(self, *, with_fields: bool = True) -> Iterator[Part | Block]:
        """Everything up to the stream's end; a block is one record that was given up."""
        window = self._window
        while seen := self._seen(_CAREFUL_BYTES if self._is_careful else self._size):
            if self._is_careful:
                yield from self._careful_part(seen)
                continue
            buffer, text, is_whole = self._closed(seen, self._size)
            if self._size > READ_BYTES:
                text, is_dense = self._light(text)
                buffer = buffer[: len(text)]
                if is_dense:
                    yield self._long(is_dense=True)
                    continue
            found, is_long = self._bounded(cut(text, self._shape, with_fields=with_fields))
            if len(found):
                yield self._advanced(buffer, text, found, len(seen), [])
            elif begins_with_comment(buffer, 0, self._shape):
                self._skip_comment()
                continue
            elif is_long or (found.stray is None and len(buffer) > self._limit):
                yield self._long(is_dense=False)
            elif found.stray is not None and self._careful_until == window.start:
                yield self._refuse(min(found.stray[1], len(seen)), refusal.stray_quote())
            elif found.stray is None and is_whole:
                yield self._unterminated(text, len(seen))
            elif found.stray is None:
                self._size = min(self._size * 2, max(self._limit + 1, READ_BYTES))
            self._is_careful |= found.stray is not None

    def _seen(self, size: int) -> bytes:
        """The next bytes, without the mark with which DOS ended its files."""
        seen = self._window.look(size)
        return seen[:-1] if seen.endswith(_END_OF_FILE) and self._window.is_last(size) else seen

    def _careful_part(self, seen: bytes) -> Iterator[Part]:
        buffer, text, _ = self._closed(seen, _CAREFUL_BYTES)
        found, strays = cut_carefully(text, self._shape, self._limit)
        self._is_careful = bool(strays)
        if len(found):
            yield self._advanced(buffer, text, found, len(seen), strays)
        else:
            self._careful_until = self._window.start

    def _advanced(self, buffer: bytes, text: bytes, found: Cut, seen: int, strays: list[int]) -> Part:
        """The part that a cut makes; the window moves on behind it."""
        size = min(int(found.ends[-1]), seen)
        if text is not buffer:
            newlines = np.flatnonzero(np.frombuffer(buffer, np.uint8) == self._shape.newline)
            found = replace(found, next_lines=np.searchsorted(newlines, found.ends))
        part = Part(
            buffer=buffer,
            text=text,
            cut=found,
            position=self._window.start,
            line=self._line,
            size=size,
            strays=strays,
        )
        self._line += int(found.next_lines[-1])
        self._window.advance(size)
        self._size = READ_BYTES
        return part

    def _closed(self, seen: bytes, size: int) -> tuple[bytes, bytes, bool]:
        """The window's bytes, as they are and masked, and whether these are the stream's last.

        They end with a line end then, even if the file does not.
        """
        is_whole = self._window.is_last(size)
        text = masked(seen, self._full_shape, with_comments=not self._is_careful)
        if not is_whole or text[-1] == self._shape.newline:
            return seen, text, is_whole
        line_end = b"\r\n" if self._shape.is_crlf and text[-1] != CR else bytes([self._shape.newline])
        closed = seen + line_end
        return closed, closed if text is seen else text + line_end, True

    def _skip_comment(self) -> None:
        """A comment that does not end within the window; it may be of any length."""
        window = self._window
        while piece := window.look(READ_BYTES):
            end = piece.find(self._shape.newline) + 1
            window.advance(end or len(piece))
            if end:
                self._line += 1
                return

    def _bounded(self, found: Cut) -> tuple[Cut, bool]:
        """The cut up to the first record that is too long, and whether one comes next."""
        limit = self._limit
        if len(found) and int(found.ends[-1]) > limit:
            over = np.flatnonzero(np.diff(found.ends, prepend=0) > limit)
            if len(over):
                return found.first(int(over[0])), True
        if found.stray is not None and found.stray[2] - found.stray[0] > limit:
            return found.first(len(found)), True
        return found, False

    def _light(self, buffer: bytes) -> tuple[bytes, bool]:
        """A long window's bytes, its first record alone if all would cost too much; whether that does, too."""
        if self._parts(buffer) <= _PARTS_MAX:
            return buffer, False
        end, _ = EndScan(self._shape, 0).feed(buffer)
        return buffer[:end], self._parts(buffer[:end]) > _PARTS_MAX

    def _parts(self, buffer: bytes) -> int:
        shape = self._shape
        return sum(buffer.count(part) for part in {shape.delimiter, shape.quote, shape.newline})

    def _refuse(self, size: int, reason: tuple[str, str]) -> Block:
        """Give up the next ``size`` bytes as one record."""
        window = self._window
        given_up = window.look(size)
        lines = max(1, given_up.count(self._shape.newline))
        block = refused_block(
            refusal.refused(reason, self._line, given_up.lstrip(b"\n") if self._shape.newline == CR else given_up),
            position=window.start + size,
            line=self._line,
            next_line=self._line + lines,
            source=given_up,
            columns=self._columns,
        )
        self._line += lines
        window.advance(size)
        return block

    def _unterminated(self, buffer: bytes, size: int) -> Block:
        """The stream ends inside quotes: give up the line on which they opened, and read on behind it."""
        marks = Marks.of(buffer, self._shape, with_delimiters=False)
        newlines = marks.positions[marks.kinds == self._shape.newline]
        is_inside = np.searchsorted(marks.quotes, newlines) % 2 == 1
        self._is_careful = True
        opener = find_stray(buffer, marks.quotes, newlines[is_inside], self._shape)
        if opener is not None:
            return self._refuse(min(buffer.index(self._shape.newline, opener) + 1, size), refusal.stray_quote())
        scan = EndScan(self._shape, 0)
        scan.feed(buffer)
        return self._refuse(min(scan.resume_at or size, size), refusal.unterminated_quote())

    def _long(self, *, is_dense: bool) -> Block:
        """A record that is too long, or never ends: give it up, holding no more than a window of it."""
        window, limit = self._window, self._limit
        prefix = window.look(limit)
        self._size = READ_BYTES
        if not is_dense and self._parts(prefix) <= _PARTS_MAX:
            text = masked(prefix, self._full_shape)
            marks = Marks.of(text, self._shape, with_delimiters=False)
            newlines = marks.positions[marks.kinds == self._shape.newline]
            is_inside = np.searchsorted(marks.quotes, newlines) % 2 == 1
            opener = find_stray(text, marks.quotes, newlines[is_inside], self._shape)
            if opener is not None:
                self._is_careful = True
                return self._refuse(text.index(self._shape.newline, opener) + 1, refusal.stray_quote())
        return self._skip(prefix[:RAW_BYTES_MAX], limit)

    def _skip(self, raw: bytes, limit: int) -> Block:
        window, line = self._window, self._line
        scan = EndScan(self._full_shape, window.start)
        is_ended = False
        last = b""
        while not is_ended and (seen := window.look(READ_BYTES)):
            used, is_ended = scan.feed(seen)
            last = seen[:used]
            window.advance(used)
        reason = refusal.too_long(limit)
        lines = max(1, scan.lines)
        if not is_ended and scan.is_inside and scan.resume_at is not None:
            window.jump(scan.resume_at)
            reason, lines, last = refusal.unterminated_quote(), scan.resume_lines, b""
            self._is_careful = True
        self._line = line + lines
        return refused_block(
            refusal.refused(reason, line, raw),
            position=window.start,
            line=line,
            next_line=self._line,
            source=last,
            columns=self._columns,
        )
