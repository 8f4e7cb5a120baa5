"""JSON text that is walked through token by token: the little that stands around the records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from jobd.sources.formats.json_fault import Fault
from jobd.sources.formats.json_nesting import PIECE_BYTES, Nesting

if TYPE_CHECKING:
    from jobd.sources.formats.window import Window

_LOOK_BYTES = 1 << 12
_BLANKS = b" \t\r\n"
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)  # the decoder judges what is in it
TOKEN = re.compile(rb'[^ \t\r\n,:"\[\]{}]+')
_TOKEN_END = re.compile(rb'[ \t\r\n,:"\[\]{}]')
_STRING_STOP = re.compile(rb'["\\]')


class Text:
    """A stream's text from a position on, with the line that it is on."""

    def __init__(self, window: Window, line: int, nesting: Nesting) -> None:
        self.window = window
        self.line = line
        self._nesting = nesting

    @property
    def position(self) -> int:
        """The place in the stream of the next byte."""
        return self.window.start

    def advance(self, seen: bytes, end: int, begin: int = 0) -> None:
        """Go on behind ``end`` of what was looked at; the text is at ``begin`` of it."""
        self.line += seen.count(b"\n", begin, end)
        self.window.advance(end - begin)

    def move(self, size: int, line: int) -> None:
        """Go on behind some bytes, to a line that is known."""
        self.line = line
        self.window.advance(size)

    def fault(self, reason: str) -> Fault:
        """What is wrong at the present place."""
        return Fault(self.position, self.line, reason)

    def next(self) -> bytes:
        """The next byte that is not blank, without taking it; empty at the end."""
        while seen := self.window.glance(_LOOK_BYTES):
            rest = seen.lstrip(_BLANKS)
            self.advance(seen, len(seen) - len(rest))
            if rest:
                return rest[:1]
        return b""

    def take(self, *expected: bytes) -> bytes:
        """Take the next byte that is not blank, which must be one of these."""
        found = self.next()
        if found not in expected or not found:
            raise self.fault("expected " + " or ".join(each.decode() for each in expected))
        self.window.advance(1)
        return found

    def string(self, size_max: int) -> str:
        """Take a string; only its beginning is looked at, so it must not be longer than ``size_max``."""
        if self.next() != b'"':
            raise self.fault("expected a key in double quotes")
        size = _LOOK_BYTES
        while True:
            seen = self.window.look(size)
            if found := STRING.match(seen):
                break
            if self.window.is_last(size) or size > size_max:
                raise self.fault("expected a key that ends")
            size *= 2
        try:
            text: str = msgspec.json.decode(found.group(), type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self.fault("expected a key that is valid") from None
        self.advance(seen, found.end())
        return text

    def skip_value(self) -> None:
        """Go behind a value of any size. Of one in brackets only their number is looked at."""
        first = self.next()
        if first in {b"{", b"["}:
            self._skip_group()
        elif first == b'"':
            self._skip_string()
        elif not first or first in b",:]}":
            raise self.fault("expected a value")
        else:
            self._skip_token()

    def _skip_group(self) -> None:
        self._nesting.restart()
        start, line = self.position, self.line
        while seen := self.window.glance(PIECE_BYTES):
            end = self._nesting.end(seen)
            self.advance(seen, len(seen) if end is None else end)
            if end is not None:
                return
        raise self.fault(f"expected the end of what begins in line {line} (byte {start})")

    def _skip_string(self) -> None:
        start, line = self.position, self.line
        self.window.advance(1)
        is_escaped = False
        while seen := self.window.glance(PIECE_BYTES):
            at = int(is_escaped)
            while found := _STRING_STOP.search(seen, at):
                at = found.end()
                if found.group() == b'"':
                    self.advance(seen, at)
                    return
                at += 1
            is_escaped = at > len(seen)
            self.advance(seen, len(seen))
        raise self.fault(f"expected the end of the string that begins in line {line} (byte {start})")

    def _skip_token(self) -> None:
        while seen := self.window.glance(_LOOK_BYTES):
            found = _TOKEN_END.search(seen)
            self.advance(seen, found.start() if found else len(seen))
            if found:
                return
