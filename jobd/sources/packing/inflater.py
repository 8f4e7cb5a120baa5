"""zlib in the manner of the standard library's other decoders."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from jobd.sources.packing.decoder import KeepableDecoder

if TYPE_CHECKING:
    from zlib import _Decompress


class Inflater(KeepableDecoder):
    """Inflates one member; ``window`` is zlib's word for its frame and its size."""

    def __init__(self, window: int) -> None:
        self._zlib: _Decompress = zlib.decompressobj(window)
        self._left = b""  # fed, and not inflated yet
        self._may_have_more = False

    @property
    def eof(self) -> bool:
        """Whether the member ended."""
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        """What was fed and lies behind the member's end."""
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""
        return not (self._left or self._may_have_more)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes."""
        piece = self._zlib.decompress(self._left + data if self._left else data, max_length)
        self._left = self._zlib.unconsumed_tail
        self._may_have_more = len(piece) == max_length
        return piece

    @property
    def unread_bytes(self) -> int:
        """How many bytes that were fed are still to be inflated."""
        return len(self._left)

    def kept(self) -> Inflater:
        """A copy in the present state, which is to be fed the unread bytes again."""
        copy = object.__new__(Inflater)
        copy._zlib = self._zlib.copy()
        copy._left, copy._may_have_more = b"", self._may_have_more
        return copy
