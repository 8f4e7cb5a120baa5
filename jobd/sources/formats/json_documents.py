"""The way through JSON documents from record to record, in looks of bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.formats.csv_cutter import LF
from jobd.sources.formats.json_cutter import Shape, Stop, cut
from jobd.sources.formats.json_fault import Fault, inside
from jobd.sources.formats.json_nesting import Nesting
from jobd.sources.formats.json_path import StepMissing, Way
from jobd.sources.formats.json_stretch import LongRecord, Stretch
from jobd.sources.formats.json_text import Text
from jobd.sources.options import RAW_BYTES_MAX
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobd.sources.formats.json_cutter import Cut
    from jobd.sources.formats.window import Window

_FIRST_LOOK_BYTES = 1 << 12  # many small documents must not each cost a look at half a megabyte
_WITH_PLACE = {Stop.FAULT, Stop.CLOSED, Stop.LONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the records of each document are.

    ``kinds``: what each step of the path is taken in, see Way. ``names_id``: the key that a record stands under is
    a field of it.
    """

    steps: tuple[str, ...] = ()
    kinds: str = ""
    shape: Shape = Shape.SEQUENCE
    names_id: bool = False

    def to_json(self) -> dict[str, Any]:
        """What is frozen of it."""
        return {
            "steps": list(self.steps),
            "kinds": self.kinds,
            "shape": self.shape.value,
            "names_id": self.names_id,
        }

    @classmethod
    def from_json(cls, frozen: Mapping[str, Any]) -> Layout:
        """The reverse of :meth:`to_json`."""
        return cls(**{**frozen, "steps": tuple(frozen["steps"]), "shape": Shape(frozen["shape"])})


class Documents:
    """One way through the documents, from a position on."""

    def __init__(self, layout: Layout, size_max: int, window: Window, line: int) -> None:
        self._layout = layout
        self._size_max = size_max
        self._nesting = Nesting()
        self._window = window
        self._text = Text(window, line, self._nesting)
        self._way = Way(layout.steps, layout.kinds)
        self._origin = self._text.position, line
        self._look_bytes = READ_BYTES
        self.entered = 0  # documents

    def records(self, *, is_inside: bool) -> Iterator[Stretch | LongRecord]:
        """All of them. ``is_inside``: the text begins behind a record, not at the beginning of a document."""
        if is_inside:
            if self._layout.shape is not Shape.SINGLE:
                yield from self._values(is_first=False)
            self._way.leave(self._text)
        while self._text.next():
            self._enter()
            yield from self._values(is_first=True)
            self._way.leave(self._text)

    def _enter(self) -> None:
        self.entered += 1
        try:
            self._way.enter(self._text)
        except StepMissing as missing:
            raise self._text.fault(f"expected records as in the first document; {missing.reason}") from None
        opener = self._layout.shape.opener
        if opener:
            if self._text.next() != opener:
                raise self._text.fault(f"expected a document with {opener.decode()} there, or the end")
            self._text.take(opener)
        self._look_bytes = _FIRST_LOOK_BYTES

    def _values(self, *, is_first: bool) -> Iterator[Stretch | LongRecord]:
        """The values side by side, up to behind the bracket that ends them."""
        layout = self._layout
        while True:
            seen = self._window.look(self._look_bytes)
            is_last = self._window.is_last(self._look_bytes)
            found = cut(
                seen,
                layout.shape,
                self._nesting,
                is_first=is_first,
                is_last=is_last,
                size_max=self._size_max,
            )
            consumed = 0
            if len(found):
                stretch = self._stretch(seen, found)
                self._origin = stretch.before(len(stretch))
                yield stretch
                consumed = int(found.ends[-1])
                self._text.move(consumed, self._origin[1])
                is_first = False
            if found.stop in _WITH_PLACE:
                self._text.advance(seen, found.at, consumed)
            if found.stop is Stop.FAULT:
                raise self._text.fault(found.reason)
            if found.stop is Stop.LONG:
                yield self._long(seen[found.at :])
                is_first = False
            if found.stop is Stop.CLOSED or (found.stop is Stop.LONG and layout.shape is Shape.SINGLE):
                return
            if consumed or found.stop is Stop.LONG:
                self._look_bytes = min(2 * self._look_bytes, READ_BYTES)
            elif is_last:
                self._end(seen, found)
                return
            elif found.stop is Stop.MORE and len(seen) > self._size_max:
                raise self._text.fault("expected a value within the bytes that JOBD_RECORD_BYTES_MAX allows")
            else:
                self._look_bytes *= 2

    def _stretch(self, seen: bytes, found: Cut) -> Stretch:
        """What was cut, as records with their lines."""
        end = int(found.ends[-1])
        newlines = np.flatnonzero(np.frombuffer(seen, np.uint8, end) == LF)
        origin, origin_line = self._origin
        return Stretch(
            text=seen[:end],
            position=self._text.position,
            starts=found.starts,
            ends=found.ends,
            lines=self._text.line + np.searchsorted(newlines, found.starts),
            next_lines=self._text.line + np.searchsorted(newlines, found.ends),
            origin=origin,
            origin_line=origin_line,
            ids=found.keys,
            gap=found.gap,
        )

    def _long(self, seen: bytes) -> LongRecord:
        """Pass over a record that is too long; the text is at its beginning."""
        text = self._text
        start, line = text.position, text.line
        beginning = self._window.look(RAW_BYTES_MAX)
        try:
            text.skip_value()
        except Fault:
            raise _fault_inside(seen, start, line) or text.fault(_unended(line, start)) from None
        self._origin = text.position, text.line
        return LongRecord(
            position=text.position,
            line=line,
            next_line=text.line,
            beginning=beginning[: text.position - start],
        )

    def _end(self, seen: bytes, found: Cut) -> None:
        """The source ends here, which it may between documents only."""
        text, layout = self._text, self._layout
        if found.stop is Stop.OPEN:
            text.advance(seen, found.at)
            start, line = text.position, text.line
            rest = seen[found.at :]
            text.advance(rest, len(rest))
            raise _fault_inside(rest, start, line) or text.fault(_unended(line, start))
        text.advance(seen, len(seen))
        if layout.shape is not Shape.SEQUENCE:
            raise text.fault(f"expected {layout.shape.closer.decode() or 'a value'} before the end")


def _fault_inside(value: bytes, position: int, line: int) -> Fault | None:
    """What is wrong in a value that does not end; None where it is merely cut off."""
    wrong = inside(value)
    if wrong is None:
        return None
    at, reason = wrong
    return Fault(position + at, line + value.count(b"\n", 0, at), reason)


def _unended(line: int, position: int) -> str:
    return f"expected the end of the record that begins in line {line} (byte {position})"
