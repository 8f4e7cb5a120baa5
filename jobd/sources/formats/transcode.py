"""Text that PostgreSQL cannot read as it stands, as UTF-8."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from jobd.errors import SourceChanged
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from jobd.sources.stream import Stream

# UTF-8 never contains this byte: what could not be decoded stays recognisable, record by record.
_BROKEN = "\udcff"


def _mark_broken(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _BROKEN, error.end


codecs.register_error("jobd.broken", _mark_broken)


class TranscodedStream:
    """UTF-8 out of another encoding; positions count the UTF-8 bytes."""

    def __init__(self, stream: Stream, codec: str) -> None:
        self._stream = stream
        self._codec = codec
        self.compression: str | None = " and ".join(filter(None, (stream.compression, codec.upper())))
        self._rewind()

    def _rewind(self) -> None:
        self._stream.seek(0)
        self._decoder = codecs.getincrementaldecoder(self._codec)("jobd.broken")
        self._left = b""
        self._is_ended = False
        self.position = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of UTF-8."""
        while len(self._left) < size and not self._is_ended:
            packed = self._stream.read(min(max(size, 1 << 12), READ_BYTES))
            self._is_ended = not packed
            text = self._decoder.decode(packed, final=self._is_ended)
            self._left += text.encode("utf-8", "surrogateescape")
        data, self._left = self._left[:size], self._left[size:]
        self.position += len(data)
        return data

    def seek(self, position: int) -> None:
        """Go on to a later position, or begin again for an earlier one."""
        if position < self.position:
            self._rewind()
        while self.position < position:
            if not self.read(min(READ_BYTES, position - self.position)):
                raise SourceChanged(f"the source is shorter than it was: it ends before byte {position}")

    def fraction_before(self, position: int) -> float:
        """Share of the source's bytes, in proportion to what has been decoded."""
        if not self.position:
            return 0.0
        return self._stream.fraction_before(self._stream.position) * min(1.0, position / self.position)

    def reopened(self) -> Stream:
        """The same from the start."""
        return TranscodedStream(self._stream.reopened(), self._codec)

    def close(self) -> None:
        """Give back what the stream underneath holds."""
        self._stream.close()
