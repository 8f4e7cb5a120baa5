"""Where decoding can begin, other than at the start."""

from __future__ import annotations

from bisect import bisect_right
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jobd.sources.packing.decoder import KeepableDecoder

_POINTS_MAX = 16
_SPACING_BYTES = 4 << 20


class Point(NamedTuple):
    """A place in the unpacked and in the packed bytes; ``decoder`` None: a member begins there."""

    position: int
    packed_position: int
    decoder: KeepableDecoder | None


class KeptPoints:
    """At most 16 points of one file, shared by its streams in any threads.

    They lie closer the nearer they are to the furthest one: going back costs about what lies between.
    """

    def __init__(self) -> None:
        self._points = [Point(0, 0, None)]
        self._lock = Lock()

    def wants(self, position: int) -> bool:
        """Whether a point there would be of use."""
        return position >= self._points[-1].position + _SPACING_BYTES

    def add(self, point: Point) -> None:
        """Keep a point, unless another stream has one near it by now."""
        with self._lock:
            if self.wants(point.position):
                self._points.append(point)
            if len(self._points) > _POINTS_MAX:
                del self._points[self._least_useful()]

    def _least_useful(self) -> int:
        """The one whose neighbours are closest to each other, measured by how far back they lie."""
        end = self._points[-1].position + _SPACING_BYTES
        positions = [point.position for point in self._points]
        gaps = [
            (positions[at + 1] - positions[at - 1]) / (end - positions[at]) for at in range(1, len(positions) - 1)
        ]
        return gaps.index(min(gaps)) + 1

    def before(self, position: int) -> Point:
        """The last point at or before a position."""
        with self._lock:
            return self._points[bisect_right(self._points, position, key=lambda point: point.position) - 1]
