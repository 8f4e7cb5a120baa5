"""Which brackets of JSON text lie outside strings, and how deep they nest: found in bulk, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jobd.sources.formats.inside import inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Offsets = NDArray[np.int64]

_QUOTE, _BACKSLASH = 0x22, 0x5C
PIECE_BYTES = 1 << 18
_BLANK_BIT = 0x20  # the one bit in which [ ] differ from { }
_OPENING_BIT = 0x02  # set in [ and {, not in ] and }
_NONE = np.zeros(0, np.int64)
_TRUE = np.ones(1, np.bool_)


class Groups(NamedTuple):
    """The bracketed values that stand next to each other in a text, and the closing bracket that ends them all.

    Value k is ``text[starts[k]:ends[k]]``; a last one that is still open has a start only. ``close`` is the place
    of a closing bracket that nothing here opens; None where there is none. What follows it is not looked at.
    """

    starts: Offsets
    ends: Offsets
    close: int | None


class Nesting:
    """What is open behind the text that was scanned so far: brackets, a string, a backslash.

    A backslash outside strings is no JSON: what is made of it is not right, and its record is refused anyway.
    """

    def __init__(self) -> None:
        self.restart()
        self._folded = np.empty(PIECE_BYTES, np.uint8)  # kept, because fresh memory costs more than the scan
        self._marks = np.empty(PIECE_BYTES, np.bool_)
        self._found = np.empty(PIECE_BYTES, np.bool_)

    def restart(self) -> None:
        """Begin anew, outside of everything."""
        self._depth = 0
        self._is_inside = False
        self._is_escaped = False

    def groups(self, text: bytes) -> Groups:
        """The bracketed values of a text that begins outside of all of them."""
        self.restart()
        starts, ends = [_NONE], [_NONE]
        for begin in range(0, len(text), PIECE_BYTES):
            positions, opens, depths = self.brackets(text[begin : begin + PIECE_BYTES])
            positions += begin
            starts.append(positions[opens & (depths == 1)])
            ends.append(positions[depths == 0] + 1)
            if len(depths) and depths.min() < 0:
                close = int(positions[np.argmax(depths < 0)])
                return Groups(_before(starts, close), _before(ends, close + 1), close)
        return Groups(np.concatenate(starts), np.concatenate(ends), None)

    def end(self, piece: bytes) -> int | None:
        """Where in the next piece everything that is open is closed; None when that is not in it."""
        positions, _, depths = self.brackets(piece)
        closed = np.flatnonzero(depths <= 0)
        return int(positions[closed[0]]) + 1 if len(closed) else None

    def brackets(self, piece: bytes) -> tuple[Offsets, Flags, Offsets]:
        """Where the brackets outside strings stand, which of them open, and the depth behind each.

        A piece has ``PIECE_BYTES`` at most.
        """
        array = np.frombuffer(piece, np.uint8)
        size = len(array)
        marks, found = self._marks[:size], self._found[:size]
        folded = np.bitwise_or(array, _BLANK_BIT, out=self._folded[:size])
        np.equal(folded, ord("{"), out=marks)
        marks |= np.equal(folded, ord("}"), out=found)
        is_quote = np.equal(array, _QUOTE, out=found)
        self._forget_escaped(array, is_quote)
        is_inside = inside(is_quote, begins_inside=self._is_inside)
        if size:
            self._is_inside = bool(is_inside[-1])
        positions = np.flatnonzero(np.greater(marks, is_inside, out=marks))
        opens = (array[positions] & _OPENING_BIT) != 0
        depths = np.cumsum(np.where(opens, 1, -1)) + self._depth
        if len(depths):
            self._depth = int(depths[-1])
        return positions, opens, depths

    def _forget_escaped(self, array: NDArray[np.uint8], is_quote: Flags) -> None:
        """No quote that a backslash takes as it is counts; remember a backslash that is the last byte."""
        slashes = np.flatnonzero(array == _BACKSLASH)
        if self._is_escaped and len(array):
            is_quote[0] = False
            slashes = slashes[slashes > 0]
            self._is_escaped = False
        if not len(slashes):
            return
        # In a run of backslashes every other one begins an escape.
        begins_run = np.concatenate((_TRUE, np.diff(slashes) != 1))
        run_start = np.maximum.accumulate(np.where(begins_run, slashes, 0))
        escaped = slashes[(slashes - run_start) % 2 == 0] + 1
        if len(escaped) and escaped[-1] == len(array):
            self._is_escaped = True
            escaped = escaped[:-1]
        is_quote[escaped] = False


def depth_of(text: bytes) -> int:
    """How deep the brackets of one value nest."""
    nesting = Nesting()
    deepest = 0
    for begin in range(0, len(text), PIECE_BYTES):
        _, _, depths = nesting.brackets(text[begin : begin + PIECE_BYTES])
        deepest = max(deepest, int(depths.max(initial=0)))
    return deepest


def _before(found: list[Offsets], limit: int) -> Offsets:
    joined = np.concatenate(found)
    return joined[joined < limit]
