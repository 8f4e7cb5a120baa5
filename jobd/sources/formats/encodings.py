"""Character sets: what PostgreSQL calls them, and which bytes are not in them.

PostgreSQL itself converts the single-byte sets, so that such a file's bytes go to it untouched. Everything else
(UTF-16, the multi-byte sets of East Asia, in which a byte of a character may look like a delimiter) is transcoded
to UTF-8 before it is cut.
"""

from __future__ import annotations

import codecs
import functools
import re

# Python's name of a codec, as codecs.lookup() gives it, to PostgreSQL's; only sets that agree byte for byte.
POSTGRES_NAMES = {
    "utf-8": "UTF8",
    "ascii": "UTF8",
    "iso8859-1": "LATIN1",
    "iso8859-2": "LATIN2",
    "iso8859-3": "LATIN3",
    "iso8859-4": "LATIN4",
    "iso8859-5": "ISO_8859_5",
    "iso8859-6": "ISO_8859_6",
    "iso8859-7": "ISO_8859_7",
    "iso8859-8": "ISO_8859_8",
    "iso8859-9": "LATIN5",
    "iso8859-10": "LATIN6",
    "iso8859-13": "LATIN7",
    "iso8859-14": "LATIN8",
    "iso8859-15": "LATIN9",
    "iso8859-16": "LATIN10",
    "cp1250": "WIN1250",
    "cp1251": "WIN1251",
    "cp1252": "WIN1252",
    "cp1253": "WIN1253",
    "cp1254": "WIN1254",
    "cp1255": "WIN1255",
    "cp1256": "WIN1256",
    "cp1257": "WIN1257",
    "cp1258": "WIN1258",
    "cp866": "WIN866",
    "cp874": "WIN874",
    "koi8-r": "KOI8R",
    "koi8-u": "KOI8U",
}
# What PostgreSQL's users write, where Python knows another name.
_ALIASES = {name.lower(): codec for codec, name in POSTGRES_NAMES.items() if codec != "ascii"}


def codec_name(encoding: str) -> str | None:
    """Python's canonical name of a character set, by any name of it; None: there is no such set of text."""
    wanted = encoding.strip().lower()
    wanted = re.sub("^windows[-_ ]?(?=[0-9])", "cp", wanted)
    try:
        found = codecs.lookup(_ALIASES.get(wanted, wanted))
    except LookupError:
        return None
    # Codecs that turn bytes into bytes, or that are no character sets at all, are none of a file's.
    is_text = getattr(found, "_is_text_encoding", True) and found.name not in {"idna", "punycode", "undefined"}
    return found.name if is_text and "escape" not in found.name else None


@functools.cache
def undefined_bytes(codec: str) -> bytes:
    """The bytes that mean nothing in a single-byte set; NUL is judged elsewhere."""
    undefined = bytearray()
    for byte in range(1, 256):
        try:
            bytes([byte]).decode(codec)
        except UnicodeDecodeError:
            undefined.append(byte)
    return bytes(undefined)


def is_decodable(data: bytes, codec: str) -> bool:
    """Whether all of the bytes are text, as PostgreSQL sees it."""
    if data.isascii():
        return True
    if codec != "utf-8":
        undefined = undefined_bytes(codec)
        return not undefined or len(data.translate(None, undefined)) == len(data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
