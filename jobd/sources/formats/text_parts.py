"""From a stream to whole lines or blocks, window by window, and past what is too long to be held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block, refused_block
from jobd.sources.options import RAW_BYTES_MAX
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.sources.formats.text_divide import Divider, Division
    from jobd.sources.formats.window import Window
    from jobd.sources.records import RefusedRecord


@dataclass(frozen=True, slots=True)
class Part:
    r"""Some lines or blocks: their bytes as they were read, and with line ends of ``\n`` or ``\r\n`` only."""

    source: bytes
    text: bytes
    division: Division
    position: int
    line: int


class TextReading:
    """One pass over a stream."""

    def __init__(
        self,
        divider: Divider,
        window: Window,
        line: int,
        columns: int,
        record_bytes_max: int,
        *,
        ends_with_cr: bool,
    ) -> None:
        self._divider = divider
        self._window = window
        self._line = line
        self._columns = columns
        self._limit = record_bytes_max
        self._ends_with_cr = ends_with_cr

    def parts(self) -> Iterator[Part | Block]:
        """Everything up to the stream's end; a block is one record that was too long to be held."""
        window, size = self._window, READ_BYTES
        size_max = max(self._limit + self._divider.width + 1, READ_BYTES)
        while seen := window.look(size):
            text = self._text(seen)
            division = self._divider.divide(text, is_last=window.is_last(size))
            if len(division):
                stop = int(division.ends[-1])
                if stop < len(seen):
                    seen, text = seen[:stop], text[:stop]
                yield Part(seen, text, division, window.start, self._line)
                self._line += int(division.next_lines[-1])
                window.advance(stop)
                size = READ_BYTES
            elif len(seen) > self._limit + self._divider.width:
                yield self._too_long()
                size = READ_BYTES
            else:
                size = min(size * 2, size_max)

    def _text(self, seen: bytes) -> bytes:
        return seen.replace(b"\r", b"\n") if self._ends_with_cr else seen

    def _too_long(self) -> Block:
        window, line, width = self._window, self._line, self._divider.width
        raw = window.look(min(self._limit, RAW_BYTES_MAX))
        size = READ_BYTES + width
        last, begins_line, is_ended = b"", True, False
        while not is_ended and (seen := window.look(size)):
            text, is_last = self._text(seen), window.is_last(size)
            end = self._divider.first_end(text, is_last=is_last, begins_line=begins_line)
            is_ended = end > 0
            # A separator may have begun in the last bytes.
            used = end or max(1, len(seen) - width)
            last, begins_line = seen[:used], text[used - 1 : used] == b"\n"
            self._line += text.count(b"\n", 0, used)
            window.advance(used)
        return refused_block(
            refused_long(raw, line, self._limit),
            position=window.start,
            line=line,
            next_line=self._line,
            source=last,
            columns=self._columns,
        )


def refused_long(text: bytes, line: int, limit: int) -> RefusedRecord:
    """The refusal of what begins with ``text``, on that line; the same whether all of it was seen or a piece."""
    raw = text[: min(limit, RAW_BYTES_MAX)]
    content = raw.lstrip(b"\r\n")
    before = raw[: len(raw) - len(content)]
    line += before.count(b"\n") or before.count(b"\r")
    return refusal.refused(refusal.too_long(limit), line, content)
