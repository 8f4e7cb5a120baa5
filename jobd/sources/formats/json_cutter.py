"""Where the records of JSON text lie: values side by side, found in bulk where all of them are objects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.json_text import STRING, TOKEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.sources.formats.json_nesting import Groups, Nesting

    Offsets = NDArray[np.int64]

_GAP_BYTES_MAX = 64
_BLANK = rb"[ \t\r\n]*+"
_BLANKS = re.compile(_BLANK)
_COMMA = re.compile(_BLANK + b"," + _BLANK)
_GAP = b"\0"  # begins a gap where several are searched at once
_KEY = rb'("[^"\\\0]*+(?:\\[^\0][^"\\\0]*+)*+")' + _BLANK + b":" + _BLANK + rb"(?=\0|\Z)"
_FIRST_KEY = re.compile(_GAP + _BLANK + _KEY)
_NEXT_KEY = re.compile(_GAP + _COMMA.pattern + _KEY)


_BRACKETS = {"array": "[]", "keyed": "{}"}


class Shape(Enum):
    """What the records are.

    An array's elements; the values of an object's keys; one value in the document; whole documents one after the
    other.
    """

    ARRAY = "array"
    KEYED = "keyed"
    SINGLE = "single"
    SEQUENCE = "sequence"

    @property
    def opener(self) -> bytes:
        """What begins them; empty where nothing does."""
        return _BRACKETS.get(self.value, ("", ""))[0].encode()

    @property
    def closer(self) -> bytes:
        """What ends them; empty where nothing does."""
        return _BRACKETS.get(self.value, ("", ""))[1].encode()


class Stop(Enum):
    """Why a cut went no further."""

    MORE = "more"  # behind ``at`` there is no value
    OPEN = "open"  # ``at`` is where a value begins that is not complete
    LONG = "long"  # ``at`` is where a value begins that is longer than allowed
    CLOSED = "closed"  # ``at`` is behind the bracket that ends them
    FAULT = "fault"  # ``at`` is where something else was expected


@dataclass(slots=True)
class Cut:
    """The complete values at the beginning of a text, and what comes behind them.

    Value k is ``text[starts[k]:ends[k]]``; ``keys`` are the values' own in an object, with their quotes; ``gap``
    stands between each two of them where that is always the same, and no key.
    """

    starts: Offsets
    ends: Offsets
    keys: list[bytes] | None
    stop: Stop
    at: int
    reason: str = ""
    gap: bytes | None = None

    def __len__(self) -> int:
        return len(self.starts)


def cut(text: bytes, shape: Shape, nesting: Nesting, *, is_first: bool, is_last: bool, size_max: int) -> Cut:
    """Cut a text that begins behind a value, or (``is_first``) behind the bracket that opens all of them.

    ``is_last``: the source ends with the text. What is cut does not depend on where the text ends, only how much.
    """
    found = nesting.groups(text)
    quick = None if shape is Shape.SINGLE else _quick(text, shape, found, is_first, size_max)
    return quick or _Walk(text, shape, found, size_max, is_last=is_last).cut(is_first=is_first)


def _quick(text: bytes, shape: Shape, found: Groups, is_first: bool, size_max: int) -> Cut | None:
    """The values in brackets, when nothing but what divides them stands between; None where they need a walk."""
    ends = found.ends
    starts = found.starts[: len(ends)]
    if not len(ends) or int((ends - starts).max()) > size_max:
        return None
    before = text[: int(starts[0])]
    keys = gap = None
    if shape is Shape.KEYED:
        first = (_FIRST_KEY if is_first else _NEXT_KEY).findall(_GAP + before)
        keys = first + _NEXT_KEY.findall(b"".join([_GAP + gap for gap in _gaps(text, starts, ends)]))
        if len(keys) < len(ends):
            return None
    else:
        divider = _BLANKS if shape is Shape.SEQUENCE else _COMMA
        gap = _only_gap(text, starts, ends)
        gaps = set(_gaps(text, starts, ends)) if gap is None else {gap} if len(ends) > 1 else set()
        if not ((_BLANKS if is_first else divider).fullmatch(before) and all(map(divider.fullmatch, gaps))):
            return None
    cut = Cut(starts, ends, keys, Stop.MORE, int(ends[-1]), gap=gap)
    close = found.close
    if close is not None and text[close : close + 1] == shape.closer and _BLANKS.fullmatch(text, cut.at, close):
        cut.stop, cut.at = Stop.CLOSED, close + 1
    return cut


def _gaps(text: bytes, starts: Offsets, ends: Offsets) -> list[bytes]:
    """What stands between each two values."""
    return [text[begin:end] for begin, end in zip(ends[:-1].tolist(), starts[1:].tolist(), strict=True)]


def _only_gap(text: bytes, starts: Offsets, ends: Offsets) -> bytes | None:
    """What stands between each two values where that is always the same, and short."""
    if len(ends) < 2:
        return b""
    begins, stops = ends[:-1], starts[1:]
    gap = text[int(begins[0]) : int(stops[0])]
    if len(gap) > _GAP_BYTES_MAX or bool((stops - begins != len(gap)).any()):
        return None
    found = np.frombuffer(text, np.uint8)[begins[:, None] + np.arange(len(gap))]
    return gap if bool((found == np.frombuffer(gap, np.uint8)).all()) else None


class _Stopped(Exception):
    """The walk has come to its end."""

    def __init__(self, stop: Stop, at: int, reason: str = "") -> None:
        super().__init__(reason)
        self.stop = stop
        self.at = at
        self.reason = reason


@dataclass(slots=True)
class _Walk:
    """One value after the other."""

    text: bytes
    shape: Shape
    found: Groups
    size_max: int
    is_last: bool
    at: int = 0
    groups: int = 0  # how many of them have been passed
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    def cut(self, *, is_first: bool) -> Cut:
        """All values up to what stops the walk."""
        try:
            while True:
                self._divider(is_first=is_first and not self.ends)
                key = self._key() if self.shape is Shape.KEYED else b""
                start, end = self._value()
                self.starts.append(start)
                self.ends.append(end)
                self.keys.append(key)
                self.at = end
        except _Stopped as stopped:
            return Cut(
                np.array(self.starts, np.int64),
                np.array(self.ends, np.int64),
                self.keys if self.shape is Shape.KEYED else None,
                stopped.stop,
                stopped.at,
                stopped.reason,
            )

    def _next(self) -> bytes:
        """The next byte that is not blank."""
        found = _BLANKS.match(self.text, self.at)
        self.at = found.end() if found else self.at
        if self.at == len(self.text):
            raise _Stopped(Stop.MORE, self.at)
        return self.text[self.at : self.at + 1]

    def _divider(self, *, is_first: bool) -> None:
        """What comes before a value."""
        if self.shape is Shape.SINGLE and not is_first:
            raise _Stopped(Stop.CLOSED, self.at)
        byte = self._next()
        closer = self.shape.closer
        if not closer:
            return
        if byte == closer:
            raise _Stopped(Stop.CLOSED, self.at + 1)
        if is_first:
            return
        if byte != b",":
            raise self._fault(f"expected a comma or {closer.decode()}")
        self.at += 1
        if self._next() == closer:
            raise self._fault(f"expected no comma before {closer.decode()}")

    def _key(self) -> bytes:
        if self._next() != b'"':
            raise self._fault("expected a key in double quotes")
        found = STRING.match(self.text, self.at)
        if found is None:
            raise _Stopped(Stop.MORE, self.at)
        self.at = found.end()
        if self._next() != b":":
            raise self._fault("expected a colon")
        self.at += 1
        return found.group()

    def _value(self) -> tuple[int, int]:
        byte = self._next()
        if byte in b"{[":
            end = int(self.found.ends[self.groups]) if self.groups < len(self.found.ends) else None
            self.groups += 1
        elif byte == b'"':
            found = STRING.match(self.text, self.at)
            end = found.end() if found else None
        else:
            found = TOKEN.match(self.text, self.at)
            if found is None:
                raise self._fault("expected a value")
            is_complete = found.end() < len(self.text) or self.is_last
            end = found.end() if is_complete else None
        size = (len(self.text) if end is None else end) - self.at
        if size > self.size_max:
            raise _Stopped(Stop.LONG, self.at)
        if end is None:
            raise _Stopped(Stop.OPEN, self.at)
        return self.at, end

    def _fault(self, reason: str) -> _Stopped:
        return _Stopped(Stop.FAULT, self.at, reason)
