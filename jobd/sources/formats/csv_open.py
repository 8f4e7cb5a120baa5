"""Open CSV: its dialect, and the header rows before its first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.errors import OptionError, SourceError
from jobd.sources.formats.csv_cutter import CsvShape, cut
from jobd.sources.formats.csv_reader import CsvFormat
from jobd.sources.formats.detect import detect_shape
from jobd.sources.formats.encodings import POSTGRES_NAMES, is_decodable
from jobd.sources.formats.window import Window
from jobd.sources.records import CopyDialect, decode_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobd.sources.formats.probe import Probe
    from jobd.sources.options import ReadOptions

_HEADER_BYTES_MAX = 1 << 20


def open_csv(probe: Probe, options: ReadOptions) -> CsvFormat:
    """Read the header rows: what follows the last of them is data."""
    shape = detect_shape(probe.text, options, is_whole=probe.is_whole)
    window = Window(probe.stream.reopened(), probe.bom_bytes)
    buffer = window.look(_HEADER_BYTES_MAX)
    size = len(buffer)
    if window.is_last(_HEADER_BYTES_MAX) and buffer[-1] != shape.newline:
        buffer += bytes([shape.newline])
    rows = int(options.header)
    if rows < 0:
        raise OptionError(f"header: {rows} is less than no rows")
    found = cut(buffer, shape)
    lengths = np.diff(found.ends, prepend=0)
    lines = np.flatnonzero(lengths > 1 + shape.is_crlf)[: max(rows, 1)]
    if len(lines) < max(rows, 1):
        raise SourceError(
            f"{probe.name}: no header was found in the first {_HEADER_BYTES_MAX} bytes; is delimiter, quote or "
            "header another one?",
            code="format_undetectable",
        )
    last = int(lines[-1])
    dialect = _dialect(shape, probe.codec)
    columns = int(found.counts[last])
    if columns > options.limits.columns:
        raise SourceError(
            f"{probe.name} has {columns} columns, more than JOBD_COLUMNS_MAX allows ({options.limits.columns})",
            code="format_undetectable",
        )
    header: list[str] = []
    position, line = probe.bom_bytes, 1
    if rows:
        begin = int(found.ends[last - 1]) if last else 0
        end = int(found.ends[last])
        stops = found.separators[int(found.counts[:last].sum()) :][:columns] - begin
        header = _names(probe.name, buffer[begin:end], stops.tolist(), dialect)
        position = probe.bom_bytes + min(end, size)
        line += int(found.next_lines[last])
    return CsvFormat(
        shape=shape,
        dialect=dialect,
        header=header,
        column_count=columns,
        data_position=position,
        data_line=line,
        record_bytes_max=options.limits.record_bytes,
    )


def reopen_csv(frozen: Mapping[str, Any], options: ReadOptions, codec: str) -> CsvFormat:
    """The format as it was decided at the first start."""
    shape = CsvShape(**frozen["shape"])
    return CsvFormat(
        shape=shape,
        dialect=_dialect(shape, codec),
        header=list(frozen["header"]),
        column_count=int(frozen["column_count"]),
        data_position=int(frozen["data_position"]),
        data_line=int(frozen["data_line"]),
        record_bytes_max=options.limits.record_bytes,
    )


def _dialect(shape: CsvShape, codec: str) -> CopyDialect:
    return CopyDialect(
        delimiter=chr(shape.delimiter),
        quote=chr(shape.quote),
        escape=chr(shape.escape),
        encoding=POSTGRES_NAMES[codec],
        codec="utf-8" if codec == "ascii" else codec,
        line_end=b"\r\n" if shape.is_crlf else b"\n",
    )


def _names(name: str, record: bytes, stops: Sequence[int], dialect: CopyDialect) -> list[str]:
    if b"\0" in record or not is_decodable(record, dialect.codec):
        raise SourceError(
            f"{name}: the header is not text in {dialect.codec.upper()}; state the option encoding",
            code="format_undetectable",
        )
    starts = [0, *(stop + 1 for stop in stops)]
    fields = (record[start:stop] for start, stop in zip(starts, stops, strict=False))
    return [decode_field(field.rstrip(b"\r\n"), dialect).text for field in fields]
