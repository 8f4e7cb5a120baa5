"""What bytes are compressed by: how each begins, and what decodes one member of it."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.sources.packing.decoder import Damaged
from jobd.sources.packing.inflater import Inflater

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources.packing.decoder import Decoder

DECODER_MEMORY_BYTES = 128 << 20  # what decoding may hold: xz -9 needs half of it, zstd --ultra -22 just this
_ZSTD_WINDOW_LOG_MAX = 27


DECODING_ERRORS = (zlib.error, OSError, lzma.LZMAError, zstd.ZstdError, Damaged)
_MEMORY_WORDS = ("memory usage limit", "too much memory")


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to compress.

    ``magics``: what each member begins with; empty where there is one member only, whatever follows it.
    ``truncated_code``: the error's code where the packed bytes end too early.
    """

    name: str
    begin: Callable[[], Decoder]
    magics: tuple[bytes, ...] = ()
    truncated_code: str = "source_truncated"

    def begins(self, head: bytes) -> bool:
        """Whether a member begins so, as far as can be told from these bytes."""
        return any(head.startswith(magic[: len(head)]) for magic in self.magics)

    @property
    def magic_bytes(self) -> int:
        """How many bytes tell for sure."""
        return max(map(len, self.magics), default=0)


def is_about_memory(error: Exception) -> bool:
    """Whether a decoder refused since it would need more memory than it may have."""
    return any(words in str(error).lower() for words in _MEMORY_WORDS)


def inflater() -> Decoder:
    """Decoder of deflate without any frame, as zip has it."""
    return Inflater(-zlib.MAX_WBITS)


def zstd_decoder() -> Decoder:
    """Decoder of one frame, skippable ones included."""
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX})


def xz_decoder() -> Decoder:
    """Decoder of one xz stream."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MEMORY_BYTES)


def _lzma_decoder() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=DECODER_MEMORY_BYTES)


GZIP = Codec("gzip", lambda: Inflater(16 + zlib.MAX_WBITS), (b"\x1f\x8b",))
ZSTD = Codec(
    "zstd", zstd_decoder, (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)))
)
BZIP2 = Codec("bzip2", bz2.BZ2Decompressor, (b"BZh",))
XZ = Codec("xz", xz_decoder, (b"\xfd7zXZ\x00",))
LZMA = Codec("lzma", _lzma_decoder, (b"\x5d\x00\x00",))
CODECS = {codec.name: codec for codec in (GZIP, ZSTD, BZIP2, XZ, LZMA)}
