"""Values of JSON records as CSV text, so that from here on they share every rule with CSV.

Values are copied, not built: a number arrives as it is written, a string as the same characters, an object or
array as its own JSON text. A missing key and a JSON null are an unquoted empty field, strings are always quoted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.formats.csv_cutter import LF
from jobd.sources.formats.inside import inside
from jobd.sources.formats.json_escapes import unescaped
from jobd.sources.formats.json_nesting import depth_of
from jobd.sources.splice import keep_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    Values = tuple[msgspec.Raw | bytes, ...]
    Csv = tuple[bytes, np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int32]]]

_COMMA, _QUOTE = ord(","), ord('"')


class NestedTooDeeply(ValueError):
    """A value has more brackets in brackets than are allowed."""


def to_csv(text: bytes, rows: Sequence[Values], columns: int, depth_max: int) -> Csv:
    """The rows' CSV, the ends of its records, and of its fields; ``text`` is what the values were taken from.

    ``depth_max`` bounds the nesting of a record, which is one level itself. Raises NestedTooDeeply, NulCharacter.
    """
    if not rows:
        return b"", np.zeros(0, np.int64), np.zeros((0, columns), np.int32)
    if b"[" in text or text.count(b"{") > len(rows):
        quoted = partial(_nested_quoted, depth_max=depth_max - 1)
        rows = [tuple(map(quoted, row)) for row in rows]
    data = unescaped(b"\n".join(map(b",".join, rows)) + b"\n")
    fields = _separators(data).reshape(-1, columns)
    data, fields = _without_nulls(data, fields)
    return data, fields[:, -1] + 1, fields.astype(np.int32)


def _separators(data: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where commas and line ends stand outside quotes."""
    array = np.frombuffer(data, np.uint8)
    is_separator = array == _COMMA
    is_separator |= array == LF
    return np.flatnonzero(is_separator > inside(array == _QUOTE))


def is_too_deep(value: bytes, depth_max: int) -> bool:
    """Whether a value nests deeper; of most a look at their length says that they cannot."""
    return len(value) > 2 * depth_max and value.count(b"[") + value.count(b"{") > depth_max < depth_of(value)


def _nested_quoted(value: msgspec.Raw | bytes, *, depth_max: int) -> bytes:
    """An object or array as one CSV field that survives what :func:`unescaped` does to strings."""
    raw = bytes(value)
    if raw[:1] not in {b"{", b"["}:
        return raw
    if is_too_deep(raw, depth_max):
        raise NestedTooDeeply
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'""') + b'"'


def _without_nulls(
    data: bytes, fields: np.ndarray[Any, np.dtype[np.int64]]
) -> tuple[bytes, np.ndarray[Any, np.dtype[np.int64]]]:
    """Cut out every bare ``null``: only that begins with an n outside quotes."""
    ends = fields.ravel()
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    is_null = np.frombuffer(data, np.uint8)[starts] == ord("n")
    if not is_null.any():
        return data, fields
    data = keep_spans(data, np.where(is_null, ends, starts), ends + 1)
    return data, (ends - 4 * np.cumsum(is_null)).reshape(fields.shape)
