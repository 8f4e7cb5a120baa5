r"""Lines and values as CSV that COPY takes, in a dialect in which text goes as it stands.

Delimiter and quote are the control characters that ASCII has for separating: hardly any text contains one, so that
hardly any has to be quoted. What must be: an empty text (without quotes it is null), a value with a delimiter, a
quote or a line end in it, and ``\.`` alone on a line, which ends a COPY up to version 17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]
    Csv = tuple[bytes, Offsets, NDArray[np.int32]]

DELIMITER, QUOTE = "\x1f", "\x1e"
_DELIMITER, _QUOTE = DELIMITER.encode(), QUOTE.encode()
_SPECIAL = b"\x1e\x1f\r\n"
_END_MARK = b"\\."
_LF = 10


def lines_as_csv(text: bytes) -> Csv:
    r"""One column, a record for each line; every line ends with ``\n`` or ``\r\n``."""
    if text.find(b"\r") >= 0:
        text = text.replace(b"\r\n", b"\n")
    array = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(array == _LF) + 1
    lengths = np.diff(ends, prepend=0)
    concerned = [np.flatnonzero(lengths == 1)]
    concerned += [
        np.searchsorted(ends, np.flatnonzero(array == special[0]), "right")
        for special in (_QUOTE, _DELIMITER, b"\r")
        if text.find(special) >= 0
    ]
    if text.find(_END_MARK) >= 0:
        short = np.flatnonzero(lengths == 1 + len(_END_MARK))
        starts = ends[short] - lengths[short]
        concerned.append(short[(array[starts] == _END_MARK[0]) & (array[starts + 1] == _END_MARK[1])])
    quoted = np.unique(np.concatenate(concerned))
    if len(quoted):
        text, ends = _with_quotes(text, ends, ends - lengths, quoted)
    return text, ends, (ends - 1)[:, None].astype(np.int32)


def _with_quotes(text: bytes, ends: Offsets, starts: Offsets, chosen: Offsets) -> tuple[bytes, Offsets]:
    """The lines with the chosen ones in quotes."""
    pieces: list[bytes] = []
    grown = np.zeros(len(ends), np.int64)
    before = 0
    for index, start, end in zip(
        chosen.tolist(), starts[chosen].tolist(), (ends[chosen] - 1).tolist(), strict=True
    ):
        value = _quoted(text[start:end])
        pieces += (text[before:start], value)
        grown[index] = len(value) - (end - start)
        before = end
    pieces.append(text[before:])
    return b"".join(pieces), ends + np.cumsum(grown)


def values_as_csv(records: Sequence[Sequence[bytes | None]], columns: int) -> Csv:
    """Values, None is null."""
    fields = [_field(value, columns) for record in records for value in record]
    lengths = np.fromiter(map(len, fields), np.int64, len(fields))
    field_ends = (np.cumsum(lengths + 1) - 1).reshape(-1, columns)
    lines = [_DELIMITER.join(fields[start : start + columns]) for start in range(0, len(fields), columns)]
    lines.append(b"")
    return b"\n".join(lines), field_ends[:, -1] + 1, field_ends.astype(np.int32)


def _field(value: bytes | None, columns: int) -> bytes:
    if value is None:
        return b""
    if value and len(value.translate(None, _SPECIAL)) == len(value) and (columns > 1 or value != _END_MARK):
        return value
    return _quoted(value)


def _quoted(value: bytes) -> bytes:
    return _QUOTE + value.replace(_QUOTE, _QUOTE + _QUOTE) + _QUOTE
