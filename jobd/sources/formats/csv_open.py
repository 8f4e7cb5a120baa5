"""Open CSV: its dialect, and what stands before its first record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.errors import OptionError, SourceError
from jobd.sources.copy_dialect import CopyDialect, decode_field
from jobd.sources.formats.csv_cutter import CsvShape, Cut, cut
from jobd.sources.formats.csv_dialect import DialectProbe
from jobd.sources.formats.csv_extent import Extent, extents, is_record
from jobd.sources.formats.csv_mask import masked
from jobd.sources.formats.csv_preamble import SEPARATOR_LINE, first_line_end, preamble_lines, skip_lines
from jobd.sources.formats.csv_reader import CsvFormat
from jobd.sources.formats.csv_rewrite import Rewriting
from jobd.sources.formats.encodings import POSTGRES_NAMES, is_decodable
from jobd.sources.formats.window import Window
from jobd.sources.records import REST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.sources.formats.probe import Probe
    from jobd.sources.options import ReadOptions

_HEADER_BYTES_MAX = 1 << 20
_SAMPLE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class _Beginning:
    """A file's first bytes, ``skip_bytes`` of which, in ``skip_rows`` lines, stand before the header."""

    buffer: bytes
    is_whole: bool
    skip_bytes: int
    skip_rows: int
    shape: CsvShape


def open_csv(probe: Probe, options: ReadOptions) -> CsvFormat:
    """Read the header rows: what follows the last of them is data."""
    rows = int(options.header)
    if rows < 0 or options.skip_rows < 0:
        raise OptionError("header and skip_rows cannot be less than no rows")
    beginning = _beginning(probe, options)
    shape = beginning.shape
    lines = _lines(beginning)
    if len(lines.records) < max(rows, 1):
        raise SourceError(
            f"{probe.name}: no header was found in the first {_HEADER_BYTES_MAX} bytes; is delimiter, quote, "
            "skip_rows or header another one?",
            code="format_undetectable",
        )
    last = lines.records[max(rows, 1) - 1]
    dialect = _dialect(shape, probe.codec)
    columns = int(lines.cut.counts[last])
    rewriting = Rewriting(shape=shape, dialect=dialect, columns=columns)
    header: list[str] = []
    position = beginning.skip_bytes
    line = 1 + beginning.skip_rows
    if rows:
        header = _names(probe.name, lines, last, rewriting)
        position = min(position + int(lines.cut.ends[last]), len(beginning.buffer))
        line += int(lines.cut.next_lines[last])
    if columns > options.limits.columns:
        raise SourceError(
            f"{probe.name} has {columns} columns, more than JOBD_COLUMNS_MAX allows ({options.limits.columns})",
            code="format_undetectable",
        )
    return CsvFormat(
        shape=shape,
        dialect=dialect,
        header=[*header, REST] if header and options.collects_rest else header,
        column_count=columns + options.collects_rest,
        data_position=probe.bom_bytes + position,
        data_line=line,
        skip_rows=beginning.skip_rows,
        ragged=options.ragged,
        collects_rest=options.collects_rest,
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
        skip_rows=int(frozen.get("skip_rows", 0)),
        ragged=frozen.get("ragged", "error"),
        collects_rest=bool(frozen.get("collects_rest", False)),
        record_bytes_max=options.limits.record_bytes,
    )


def _beginning(probe: Probe, options: ReadOptions) -> _Beginning:
    window = Window(probe.stream.reopened(), probe.bom_bytes)
    buffer = window.look(_HEADER_BYTES_MAX)
    is_whole = window.is_last(_HEADER_BYTES_MAX)
    if is_whole and buffer.endswith(b"\x1a") and len(buffer) > 1:
        buffer = buffer[:-1]
    skip_bytes, skip_rows = 0, options.skip_rows
    separator = SEPARATOR_LINE.match(buffer) if options.delimiter is None else None
    stated = separator[1][0] if separator and separator[1].isascii() else None
    if separator and not skip_rows:
        skip_bytes, skip_rows = separator.end(), 1
    elif skip_rows:
        skipped = skip_lines(buffer, skip_rows)
        if skipped is None or (is_whole and skipped == len(buffer)):
            raise SourceError(
                f"{probe.name}: nothing is left behind the {skip_rows} lines that skip_rows passes over"
                + ("" if is_whole else f", or they are longer than {_HEADER_BYTES_MAX} bytes"),
                code="format_undetectable",
            )
        skip_bytes = skipped
    dialects = DialectProbe(options, delimiter=stated, line_end=first_line_end(buffer))
    sample = buffer[skip_bytes : skip_bytes + _SAMPLE_BYTES]
    is_whole_sample = is_whole and skip_bytes + len(sample) == len(buffer)
    fit = dialects.best(sample, is_whole=is_whole_sample)
    may_differ = options.ragged != "error" or options.collects_rest  # then a short header is meant
    if not options.skip_rows and int(options.header) == 1 and not may_differ:
        lines = preamble_lines(sample, fit, dialects, is_whole=is_whole_sample)
        if lines:
            skipped = len(b"".join(sample.splitlines(keepends=True)[:lines]))
            fit = dialects.best(sample[skipped:], is_whole=is_whole_sample)
            skip_bytes += skipped
            skip_rows += sample.count(fit.shape.newline, 0, skipped)
    return _Beginning(buffer, is_whole, skip_bytes, skip_rows, fit.shape)


@dataclass(frozen=True, slots=True)
class _Lines:
    """What follows the preamble: as it is, masked, and cut; ``records`` are neither blank lines nor comments."""

    buffer: bytes
    text: bytes
    cut: Cut
    extent: Extent
    records: list[int]


def _lines(beginning: _Beginning) -> _Lines:
    shape = beginning.shape
    buffer = beginning.buffer[beginning.skip_bytes :]
    text = masked(buffer, shape)
    newline = bytes([shape.newline])
    if beginning.is_whole and not text.endswith(newline):
        buffer, text = buffer + newline, text + newline
    found = cut(text, shape.masked)
    if text is not buffer:
        newlines = np.flatnonzero(np.frombuffer(buffer, np.uint8) == shape.newline)
        found = replace(found, next_lines=np.searchsorted(newlines, found.ends))
    extent = extents(text, found, shape)
    return _Lines(buffer, text, found, extent, np.flatnonzero(is_record(buffer, extent, shape, 2)).tolist())


def _dialect(shape: CsvShape, codec: str) -> CopyDialect:
    return CopyDialect(
        delimiter=chr(shape.delimiter),
        quote=chr(shape.quote),
        escape=chr(shape.escape),
        encoding=POSTGRES_NAMES[codec],
        codec="utf-8" if codec == "ascii" else codec,
        line_end=b"\r\n" if shape.is_crlf else b"\n",
    )


def _names(name: str, lines: _Lines, row: int, rewriting: Rewriting) -> list[str]:
    dialect = rewriting.dialect
    start, stop = int(lines.extent.starts[row]), int(lines.extent.content_ends[row])
    record = lines.buffer[start:stop]
    if b"\0" in record or not is_decodable(record, dialect.codec):
        raise SourceError(
            f"{name}: the header is not text in {dialect.codec.upper()}; state the option encoding",
            code="format_undetectable",
        )
    first = int(lines.cut.counts[:row].sum())
    stops = lines.cut.separators[first : first + int(lines.cut.counts[row])] - start
    stops[-1] = stop - start
    fields = rewriting.fields(record, lines.text[start:stop], stops.tolist())
    return [decode_field(field, dialect).text for field in fields or []]
