"""Which fields a form may concern, told from their first and last bytes without looking at each in Python.

A field that is named for nothing costs a little time; one that is not named stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from jobd.sources import RecordBatch

    Candidates = Callable[[RecordBatch, int], NDArray[np.int64]]


def _table(bytes_: Iterable[int]) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(bytes_)] = True
    return table


_NONE = _table(())
# Bytes that a blank may begin or end with, in any of the codecs.
_BLANK = _table([*(byte for byte in range(128) if chr(byte).isspace()), *range(128, 256)])
_BEGINS_ARRAY = _BLANK | _table(b"[")
_BEGINS_OBJECT = _BLANK | _table(b"[{")
# What can only be JSON, behind its first and before its last character, but for texts made to deceive.
_JSON_BLANKS = b" \t\r\n"
_IN_OBJECT = _table(b'"}' + _JSON_BLANKS)
_IN_ARRAY = _table(b'"[{]-0123456789' + _JSON_BLANKS)


def surrounded(batch: RecordBatch, place: int) -> NDArray[np.int64]:
    """Fields that may have blanks around them, also inside quotes."""
    return _by_edges(batch, place, _BLANK, _BLANK)


def brackets(batch: RecordBatch, place: int) -> NDArray[np.int64]:
    """Fields that may begin with [."""
    return _by_edges(batch, place, _BEGINS_ARRAY, _NONE)


def json_like(batch: RecordBatch, place: int) -> NDArray[np.int64]:
    """Fields that may begin with [ or {."""
    return _by_edges(batch, place, _BEGINS_OBJECT, _NONE)


def strings(batch: RecordBatch, place: int) -> NDArray[np.int64]:
    """Of a JSON source: strings, and what may be one rather than an object or array."""
    starts = batch.column_starts(place)
    ends = batch.field_ends[:, place].astype(np.int64)
    array = np.frombuffer(batch.data, np.uint8)
    filled = np.flatnonzero(ends - starts >= 2)
    filled = filled[array[starts[filled]] == ord(batch.dialect.quote)]
    starts, ends = starts[filled], ends[filled]
    # The shortest of these is the empty string, whose content would begin at its closing quote.
    first, second, last = array[starts + 1], array[np.minimum(starts + 2, ends - 1)], array[ends - 2]
    is_object = (first == ord("{")) & (last == ord("}")) & _IN_OBJECT[second]
    is_array = (first == ord("[")) & (last == ord("]")) & _IN_ARRAY[second]
    found: NDArray[np.int64] = filled[~(is_object | is_array)]
    return found


def _by_edges(
    batch: RecordBatch, place: int, firsts: NDArray[np.bool_], lasts: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Records whose field begins or ends with one of these bytes, quotes not counted."""
    starts = batch.column_starts(place)
    ends = batch.field_ends[:, place].astype(np.int64)
    filled = np.flatnonzero(ends > starts)
    if not len(filled):
        return filled
    array = np.frombuffer(batch.data, np.uint8)
    starts, ends = starts[filled], ends[filled]
    quote = ord(batch.dialect.quote)
    first, last = array[starts], array[ends - 1]
    inner_first = array[np.minimum(starts + 1, ends - 1)]
    inner_last = array[np.maximum(ends - 2, starts)]
    found = np.where(first == quote, firsts[inner_first], firsts[first])
    found |= np.where(last == quote, lasts[inner_last], lasts[last])
    # A quote after a quote may stand for itself, or for nothing: such a field is looked at.
    found |= (first == quote) & (inner_first == quote) & (ends - starts > 2)
    return filled[found]
