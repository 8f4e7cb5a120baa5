"""The beginning of a file, by which it is decided what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.sources.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One file's text, as far as it was looked at.

    ``stream`` is unpacked, and in UTF-8 where PostgreSQL cannot read its encoding; ``codec`` is what it is in now.
    ``text`` is its beginning behind the ``bom_bytes`` of a byte order mark; ``is_whole``: there is no more of it.
    """

    name: str
    stream: Stream
    text: bytes
    is_whole: bool
    bom_bytes: int
    codec: str
