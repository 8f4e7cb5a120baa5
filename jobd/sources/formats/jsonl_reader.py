"""JSON Lines: a line is a record, whatever is in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.copy_dialect import CopyDialect
from jobd.sources.formats.block import accepts_nothing
from jobd.sources.formats.csv_cutter import CR, LF
from jobd.sources.formats.json_convert import Conversion
from jobd.sources.formats.json_stretch import LongRecord, Stretch
from jobd.sources.formats.window import Window
from jobd.sources.options import RAW_BYTES_MAX, Limits
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from jobd.sources.formats.block import Accepts, Block, NewFields
    from jobd.sources.stream import Stream

    Offsets = NDArray[np.int64]

_BLANKS = b" \t\r\n"
_ZERO = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLinesFormat:
    """One JSON object per line; ``header`` are the keys that become columns."""

    header: list[str]
    data_position: int = 0
    data_line: int = 1
    ignore_unknown: bool = False
    limits: Limits = field(default_factory=Limits)
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
        conversion = Conversion(self.header, self.limits, ignore_unknown=self.ignore_unknown, accepts=accepts)
        for found in self._lines(stream, position, line):
            if isinstance(found, LongRecord):
                yield conversion.long(found)
            else:
                joined = found.text if _are_one_each(found) else None
                yield from conversion.blocks(found, joined)

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of lines that are not blank."""
        for found in self._lines(stream, self.data_position, self.data_line):
            yield 1 if isinstance(found, LongRecord) else len(found) - _blank_lines(found)

    def _lines(self, stream: Stream, position: int, line: int) -> Iterator[Stretch | LongRecord]:
        """Whole lines at a time, blank ones among them."""
        window = Window(stream, position)
        limit = self.limits.record_bytes
        size = READ_BYTES
        while seen := window.look(size):
            stop = len(seen) if window.is_last(size) else seen.rfind(b"\n") + 1
            ends = _line_ends(seen[:stop])
            over = np.flatnonzero(np.diff(ends, prepend=0) > limit)
            if len(over):
                ends = ends[: over[0]]
                stop = int(ends[-1]) if len(ends) else 0
            if stop:
                yield _stretch(seen[:stop], ends, window.start, line)
                line += len(ends)
                window.advance(stop)
                size = READ_BYTES
            elif len(seen) > limit:
                beginning = window.look(RAW_BYTES_MAX).split(b"\n", 1)[0]
                _skip_line(window)
                yield LongRecord(position=window.start, line=line, next_line=line + 1, beginning=beginning)
                line += 1
                size = READ_BYTES
            else:
                size = min(size * 2, max(limit + 1, READ_BYTES))


def _stretch(text: bytes, ends: Offsets, position: int, line: int) -> Stretch:
    lines = np.arange(line, line + len(ends))
    return Stretch(
        text=text,
        position=position,
        starts=np.concatenate((_ZERO, ends[:-1])),
        ends=ends,
        lines=lines,
        next_lines=lines + 1,
        origin=position,
        origin_line=line,
    )


def _line_ends(text: bytes) -> Offsets:
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == LF) + 1
    return ends if text.endswith(b"\n") or not text else np.append(ends, len(text))


def _are_one_each(lines: Stretch) -> bool:
    """Whether each line is one value, if there are as many values as lines.

    The decoder does not mind where lines end. But in JSON no line end with ``}`` before it and ``{`` behind it
    is within a value.
    """
    array = np.frombuffer(lines.text, np.uint8)
    lasts = lines.ends - 2
    if not lines.text.endswith(b"\n"):
        lasts[-1] += 1
    lasts -= array[lasts] == CR
    if bool((array[lines.starts] == ord("{")).all()) and bool((array[lasts] == ord("}")).all()):
        return True
    texts = (lines.record(index).strip(_BLANKS) for index in range(len(lines)))
    return all(text.startswith(b"{") and text.endswith(b"}") for text in texts)


def _blank_lines(lines: Stretch) -> int:
    """Lines with nothing but blanks, which are looked for only where a short line exists at all."""
    array = np.frombuffer(lines.text, np.uint8)
    suspects = np.flatnonzero(np.isin(array[lines.starts], np.frombuffer(_BLANKS, np.uint8)))
    return sum(not lines.record(index).strip(_BLANKS) for index in suspects.tolist())


def _skip_line(window: Window) -> None:
    while seen := window.look(READ_BYTES):
        end = seen.find(b"\n") + 1
        window.advance(end or len(seen))
        if end:
            return
