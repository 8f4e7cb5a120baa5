"""What decodes one member of compressed bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol


class Damaged(Exception):
    """What is packed is not what was promised."""


class Decoder(Protocol):
    """Decodes one member (gzip), stream (bzip2, xz) or frame (zstd), as the standard library's decoders do."""

    @property
    def eof(self) -> bool:
        """Whether the member ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was fed and lies behind the member's end."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes; ``data`` is taken in whole."""
        ...


class KeepableDecoder(ABC):
    """A decoder whose state may be kept, to go on from there another time."""

    @property
    @abstractmethod
    def eof(self) -> bool:
        """See Decoder."""

    @property
    @abstractmethod
    def needs_input(self) -> bool:
        """See Decoder."""

    @property
    @abstractmethod
    def unused_data(self) -> bytes:
        """See Decoder."""

    @abstractmethod
    def decompress(self, data: bytes, max_length: int) -> bytes:
        """See Decoder."""

    @property
    @abstractmethod
    def unread_bytes(self) -> int:
        """How many bytes that were fed are still to be decoded, as far as that is known."""

    @abstractmethod
    def kept(self) -> KeepableDecoder | None:
        """A copy in the present state, where there can be one, which is to be fed the unread bytes again."""
