"""Which character set bytes without a mark are in: UTF-8, UTF-16 or UTF-32, or Windows-1252.

Nothing else is guessed. A wrong guess loads wrong letters without a word, while bytes that are not UTF-8 are
refused record by record with the hint to state the encoding. Windows-1252 (and Latin-1, which it contains) is
taken only where its accented letters stand singly among others, as in the languages it was made for.
"""

from __future__ import annotations

import codecs
import re

_SINGLE = re.compile(
    rb"(?:(?<=[A-Za-z])|(?<=[\s\"'(,;|/-])|(?<=^))[\xc0-\xd6\xd8-\xf6\xf8-\xfd\x8a\x8c\x8e\x9a\x9c\x9e\x9f]{1,2}"
    rb"(?=[A-Za-z\s\"').,;:|/!?-]|$)"
)
# Signs that stand next to figures, blanks and punctuation, not inside words; curly apostrophes do.
_SIGN = re.compile(
    rb"(?<![a-z])[\x80\x82-\x89\x8b\x91-\x99\x9b\xa1-\xbf\xd7](?![a-z])|(?<=[\s\"(,;|])[\x80-\x9f\xa1-\xbf]"
    rb"|[\x80\x85\x93\x94\x96\x97\xa2-\xa5\xa7\xa9\xab\xae\xb0-\xb7\xbb\xd7](?=[\s\"),;|.]|$)|[\x92\xa0\xaa\xba\xad]"
)
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_PLAUSIBLE_MIN = 0.9  # of the bytes beyond ASCII in Windows-1252
_UTF8_MIN = 0.5  # of the places beyond ASCII that are well-formed UTF-8, so that the others are broken
_CONTROLS = re.compile("[\0\x02-\x08\x0b\x0e-\x1e\x7f-\x9f\ufffe\uffff]")
_UTF8_BEYOND_ASCII = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)


def likely_codec(sample: bytes) -> str:
    """The codec of text that begins with these bytes; a character may be cut off at the end."""
    wide = _wide(sample)
    if wide is not None:
        return wide
    if is_beginning_of(sample, "utf-8"):
        return "utf-8"
    good = len(_UTF8_BEYOND_ASCII.findall(sample))
    rest = _UTF8_BEYOND_ASCII.sub(b"", sample)
    beyond = re.findall(rb"[\x80-\xff]", rest)
    if good >= _UTF8_MIN * (good + len(beyond)):
        return "utf-8"
    return "cp1252" if _is_western(sample) else "utf-8"


def _is_western(sample: bytes) -> bool:
    beyond = len(re.findall(rb"[\x80-\xff]", sample))
    if _UNDEFINED.search(sample) or sample.count(0):
        return False
    letters = sum(len(found) for found in _SINGLE.findall(sample))
    signs = sum(len(found) for found in _SIGN.findall(_SINGLE.sub(b"", sample)))
    return letters + signs >= _PLAUSIBLE_MIN * beyond


def _wide(sample: bytes) -> str | None:
    """UTF-32 or UTF-16, by where the NULs stand: ASCII letters, figures and line ends have theirs in turn."""
    nuls = sample.count(0)
    if not nuls:
        return None
    if nuls * 2 >= len(sample):
        for codec in ("utf-32-le", "utf-32-be"):
            if len(sample) >= 4 and is_beginning_of(sample, codec, controls_max=0.05):
                return codec
    units = max(1, len(sample) // 2)
    at_even, at_odd = sample[0::2].count(0), sample[1::2].count(0)
    for codec, here, other in (("utf-16-le", at_odd, at_even), ("utf-16-be", at_even, at_odd)):
        if here >= 0.05 * units and other * 20 <= here and is_beginning_of(sample, codec, controls_max=0.05):
            return codec
    return None


def is_beginning_of(sample: bytes, codec: str, controls_max: float = 1.0) -> bool:
    """Whether it decodes, and at most this share of it are characters that no text is made of."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample)
    except UnicodeDecodeError:
        return False
    return controls_max >= 1 or len(_CONTROLS.findall(text)) <= controls_max * len(text)
