r"""JSON's escapes to CSV's doubled quotes, for a whole block of text at once.

The text is JSON strings with their quotes, and bare values between them; a backslash occurs in strings only.
"""

from __future__ import annotations

import numpy as np

_BACKSLASH, _QUOTE = 0x5C, 0x22
_PLAIN = np.zeros(256, np.uint8)  # what the letter behind a backslash stands for
for _letter, _meaning in (
    ("/", "/"),
    ("\\", "\\"),
    ("n", "\n"),
    ("t", "\t"),
    ("r", "\r"),
    ("b", "\b"),
    ("f", "\f"),
):
    _PLAIN[ord(_letter)] = ord(_meaning)
_DIGITS = np.zeros(256, np.uint32)
for _digit in "0123456789abcdefABCDEF":
    _DIGITS[ord(_digit)] = int(_digit, 16)


class NulCharacter(ValueError):
    r"""A string contains ``\u0000``, which text in PostgreSQL cannot hold."""


def unescaped(text: bytes) -> bytes:
    """The text with every escape resolved; a quote becomes two. It must be valid JSON."""
    if b"\\" not in text:
        return text
    array = np.frombuffer(text, np.uint8).copy()
    slashes = np.flatnonzero(array == _BACKSLASH)
    # In a run of backslashes every other one begins an escape.
    begins_run = np.concatenate(([True], np.diff(slashes) != 1))
    run_start = np.maximum.accumulate(np.where(begins_run, slashes, 0))
    escapes = slashes[(slashes - run_start) % 2 == 0]
    letters = array[escapes + 1]
    keep = np.ones(len(array), np.bool_)
    array[escapes[letters == _QUOTE]] = _QUOTE
    is_plain = _PLAIN[letters] != 0
    plain = escapes[is_plain]
    array[plain + 1] = _PLAIN[letters[is_plain]]
    keep[plain] = False
    coded = escapes[letters == ord("u")]
    if len(coded):
        _write_utf8(array, keep, coded)
    return array[keep].tobytes()


def _write_utf8(array: np.ndarray, keep: np.ndarray, at: np.ndarray) -> None:
    r"""Put the characters of ``\uXXXX`` at these places where the escape stood, and drop what is left of it."""
    digits = _DIGITS[array[at[:, None] + np.arange(2, 6)]]
    codes = (digits << np.array([12, 8, 4, 0], np.uint32)).sum(axis=1).astype(np.uint32)
    if not codes.all():
        raise NulCharacter
    keep[at[:, None] + np.arange(6)] = False
    is_low = (codes >= 0xDC00) & (codes < 0xE000)
    is_high = (codes >= 0xD800) & (codes < 0xDC00)
    pairs = np.flatnonzero(is_high)
    codes[pairs] = 0x10000 + ((codes[pairs] - 0xD800) << 10) + (codes[pairs + 1] - 0xDC00)
    codes, at = codes[~is_low], at[~is_low]
    quotes = at[codes == _QUOTE]
    array[quotes] = array[quotes + 1] = _QUOTE
    keep[quotes] = keep[quotes + 1] = True
    for low, high, size in ((0, 0x80, 1), (0x80, 0x800, 2), (0x800, 0x10000, 3), (0x10000, 0x110000, 4)):
        chosen = (codes >= low) & (codes < high) & (codes != _QUOTE)
        places, code = at[chosen], codes[chosen]
        for index in range(size):
            rest = code >> np.uint32(6 * (size - 1 - index))
            lead = (0x00, 0xC0, 0xE0, 0xF0)[size - 1] if index == 0 else 0x80
            array[places + index] = (rest if index == 0 else rest & 0x3F) | lead
            keep[places + index] = True
