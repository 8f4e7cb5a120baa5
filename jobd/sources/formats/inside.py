"""Which bytes of a text lie inside quotes, told from the places of the quotes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

_WORD_BITS = 64
_WORD_BYTES = _WORD_BITS // 8


def inside(is_quote: Flags, *, begins_inside: bool = False) -> Flags:
    """Where an odd number of quotes stands up to here, the quote itself included.

    A running parity, of 64 bytes at a time: they are the bits of one word, in which a shift by 1, 2, 4, … adds up
    twice as many each time. A step per byte, or a list of all quotes, costs several times as much.
    """
    count = len(is_quote)
    if not count:
        return is_quote
    words = np.zeros(-(-count // _WORD_BITS), "<u8")
    words.view(np.uint8)[: -(-count // 8)] = np.packbits(is_quote, bitorder="little")
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words << np.uint64(shift)
    parities = words >> np.uint64(_WORD_BITS - 1)
    flips = np.bitwise_xor.accumulate(parities)
    flips ^= parities  # of the words before this one
    if begins_inside:
        flips ^= np.uint64(1)
    words ^= np.uint64(0) - flips  # all bits of a word, or none
    return np.unpackbits(words.view(np.uint8), count=count, bitorder="little").view(np.bool_)
