"""The unpacked bytes of a compressed file, as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import SourceChanged, SourceError
from jobd.sources.options import Limits
from jobd.sources.packing.history import History
from jobd.sources.packing.points import KeptPoints
from jobd.sources.packing.unpacker import PACKED_BYTES, Unpacker

if TYPE_CHECKING:
    from jobd.sources.packing.codec import Codec
    from jobd.sources.stream import SourceFile, Stream

_DECODED_BYTES_MIN = 1 << 16
_DECODED_BYTES_MAX = 1 << 20
_HISTORY_BYTES = 1 << 20
_RATIO_JUDGED_BYTES = 64 << 20


class PackedStream:
    """One or several members, one after the other, of whatever codec.

    Going back a little costs nothing (``history_bytes``); further back, decoding begins anew at the nearest kept
    point: anywhere for gzip, where a stream or frame begins for the others.
    """

    def __init__(
        self,
        file: SourceFile,
        codec: Codec,
        limits: Limits | None = None,
        *,
        points: KeptPoints | None = None,
        history_bytes: int = _HISTORY_BYTES,
    ) -> None:
        self._file = file
        self._codec = codec
        self._limits = limits or Limits()
        self._points = points or KeptPoints()
        self._history_bytes = history_bytes
        self.compression: str | None = codec.name
        self.position = 0
        self._begin_at(0)

    def _begin_at(self, position: int) -> None:
        """Decode from the last kept point at or before a position."""
        point = self._points.before(position)
        self._unpacker = Unpacker(self._file, self._codec, point)
        self._history = History(self._history_bytes, point.position)
        self._break: SourceError | None = None

    def read(self, size: int) -> bytes:
        """Unpacked bytes. What precedes a break is delivered before the break is raised."""
        pieces: list[bytes] = []
        wanted = size
        while wanted > 0:
            try:
                if self.position == self._history.end and not self._advance(wanted):
                    break
            except SourceError:
                if not pieces:
                    raise
                break
            piece = self._history.read(self.position, wanted)
            pieces.append(piece)
            self.position += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _advance(self, wanted: int) -> bool:
        """Decode some more; False at the end. Small members are taken together."""
        if self._break is not None:
            raise self._break
        size = min(max(wanted, _DECODED_BYTES_MIN), _DECODED_BYTES_MAX)
        pieces: list[bytes] = []
        gathered = 0
        try:
            while gathered < _DECODED_BYTES_MIN and (piece := self._unpacker.decode(size - gathered)):
                pieces.append(piece)
                gathered += len(piece)
                if self._points.wants(self._unpacker.position):
                    self._points.add(self._unpacker.point())
        except SourceError as error:
            self._break = error
            if error.error_code == "source_corrupt":
                pieces.append(self._salvaged(self._unpacker))
        decoded = self._bounded(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if decoded:
            self._history.add(decoded)
        elif self._break is not None:
            raise self._break
        return bool(decoded)

    def _salvaged(self, broken: Unpacker) -> bytes:
        """What was decoded of the piece in which the decoder broke: again, with its input in single bytes."""
        again = Unpacker(
            self._file,
            self._codec,
            self._points.before(broken.position),
            singly_from=broken.packed_position - 2 * PACKED_BYTES,
        )
        pieces: list[bytes] = []
        try:
            while again.position < broken.position + _DECODED_BYTES_MAX and (
                piece := again.decode(_DECODED_BYTES_MAX)
            ):
                if again.position > broken.position:
                    pieces.append(piece[-(again.position - broken.position) :])
        except SourceError:
            pass  # the same break, which the caller holds
        finally:
            again.close()
        return b"".join(pieces)

    def _bounded(self, decoded: bytes) -> bytes:
        """The bytes that may be had; a bound that they exceed is a break behind them."""
        end = self._history.end + len(decoded)
        packed = max(1, self._unpacker.packed_position)
        if end > self._limits.expanded_bytes:
            self._break = SourceError(
                f"{self._file.name} unpacks to more than {self._limits.expanded_bytes} bytes; "
                "JOBD_EXPANDED_BYTES_MAX allows more",
                code="source_too_large",
            )
            return decoded[: max(0, self._limits.expanded_bytes - self._history.end)]
        if end > _RATIO_JUDGED_BYTES and end > packed * self._limits.expansion_ratio:
            self._break = SourceError(
                f"{self._file.name} unpacks to more than {self._limits.expansion_ratio} times its size: its first "
                f"{packed} bytes give {end}. If that is right, JOBD_EXPANSION_RATIO_MAX allows more",
                code="source_too_large",
            )
            return b""
        return decoded

    def reaches(self, position: int) -> bool:
        """Go to a position; False, and to the end, where the stream ends before it."""
        begin = self._points.before(position).position
        if position < self._history.start or begin > self._history.end:
            self._unpacker.close()
            self._begin_at(position)
        try:
            while self._history.end < position:
                if not self._advance(position - self._history.end):
                    return False
        finally:
            self.position = min(position, self._history.end)
        return True

    def seek(self, position: int) -> None:
        """Go on to a later position, or back to an earlier one."""
        if not self.reaches(position):
            raise SourceChanged(f"{self._file.name} is shorter than it was: it ends before byte {position}")

    def fraction_before(self, position: int) -> float:
        """Share of the compressed bytes, in proportion where the position lies back."""
        share = min(1.0, self._unpacker.packed_position / max(1, self._file.size_bytes))
        return min(1.0, share * position / self._history.end if self._history.end else share)

    def reopened(self) -> Stream:
        """Another stream over the same open file, with the same kept points."""
        return PackedStream(
            self._file, self._codec, self._limits, points=self._points, history_bytes=self._history_bytes
        )

    def close(self) -> None:
        """Give back what the packed stream holds."""
        self._unpacker.close()
