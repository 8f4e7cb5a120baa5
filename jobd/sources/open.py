"""Open a source: find it, unpack it, detect what it is, read its header."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jobd.errors import OptionError, SourceChanged, SourceError
from jobd.sources import detect
from jobd.sources.csv_cutter import CsvShape, cut
from jobd.sources.csv_reader import CsvFormat
from jobd.sources.encodings import POSTGRES_NAMES, is_decodable
from jobd.sources.jsonl_reader import JsonLinesFormat
from jobd.sources.locate import LocatedFile, open_file
from jobd.sources.options import COLUMNS_MAX, ReadOptions
from jobd.sources.records import CopyDialect, decode_field
from jobd.sources.source import Source
from jobd.sources.stream import GZIP_MAGIC, GzipStream, PlainStream, Stream
from jobd.sources.transcode import TranscodedStream
from jobd.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobd.sources.block import Format

_HEADER_RECORDS = 1000  # of JSON Lines: the keys of so many records become columns
_HEADER_BYTES_MAX = 1 << 20


def open_source(
    source: str,
    *,
    roots: Sequence[Path],
    limits: Sequence[Path] | None = None,
    options: ReadOptions | None = None,
    detected: Mapping[str, Any] | None = None,
) -> Source:
    """The source that a job names, inside one of the roots and, where its submitter has ``limits``, of those.

    ``detected`` is what :attr:`Source.detected` said at the job's first start: nothing is guessed anew then.
    Raises SourceError or OptionError, and RootUnavailable when the host is not ready for it.
    """
    options = options or ReadOptions()
    file = open_file(source, roots, limits)
    try:
        if detected is not None:
            return _as_before(file, detected, options)
        return _detected(file, options)
    except BaseException:
        file.close()
        raise


def _detected(file: LocatedFile, options: ReadOptions) -> Source:
    compression = "gzip" if file.read(0, 2) == GZIP_MAGIC else None
    raw = _stream(file, compression, "utf-8")
    sample = _sample(raw, detect.SAMPLE_BYTES)
    if not sample:
        raise SourceError(f"{file.path} is empty (0 bytes when unpacked)", code="source_empty")
    encoding = detect.detect_encoding(sample, options)
    stream = _stream(file, compression, encoding.codec)
    if isinstance(stream, TranscodedStream):
        sample = _sample(stream, detect.SAMPLE_BYTES)
        bom_bytes = 3 if encoding.bom_bytes else 0
    else:
        bom_bytes = encoding.bom_bytes
    is_whole = len(sample) < detect.SAMPLE_BYTES
    text = sample[bom_bytes:]
    if not text:
        raise SourceError(f"{file.path} holds nothing but a byte order mark", code="format_undetectable")
    kind = detect.detect_format(text, file.path, options)
    codec = "utf-8" if isinstance(stream, TranscodedStream) else encoding.codec
    records: Format
    if kind == "jsonl":
        if codec != "utf-8":  # JSON's escapes are resolved here, to UTF-8
            stream, codec = TranscodedStream(_stream(file, compression, "utf-8"), encoding.codec), "utf-8"
        records = _json_lines(file, stream, options, bom_bytes)
    else:
        shape = detect.detect_shape(text, options, is_whole=is_whole)
        records = _csv(file, stream, shape, codec, options=options, bom_bytes=bom_bytes)
    return Source(
        file,
        stream,
        records,
        {
            "format": kind,
            "compression": compression,
            "encoding": encoding.codec,
            "is_transcoded": isinstance(stream, TranscodedStream),
            **({"shape": asdict(records.shape)} if isinstance(records, CsvFormat) else {}),
            "header": records.header,
            "column_count": records.column_count,
            "data_position": records.data_position,
            "data_line": records.data_line,
            "head_hash": _head_hash(stream, records.data_position),
        },
    )


def _as_before(file: LocatedFile, detected: Mapping[str, Any], options: ReadOptions) -> Source:
    """The source read in the way that was decided at the first start."""
    codec = detected["encoding"]
    stream = _stream(file, detected["compression"], "utf-8")
    if detected["is_transcoded"]:
        stream, codec = TranscodedStream(stream, codec), "utf-8"
    position = int(detected["data_position"])
    if (file.read(0, 2) == GZIP_MAGIC) != (detected["compression"] == "gzip") or (
        _head_hash(stream, position) != detected["head_hash"]
    ):
        raise SourceChanged(
            f"{file.path} has changed: its beginning is not what it was when the job first started"
        )
    header = list(detected["header"])
    records: Format
    if detected["format"] == "jsonl":
        records = JsonLinesFormat(
            header=header,
            data_position=position,
            data_line=int(detected["data_line"]),
            ignore_unknown=options.ignore_unknown,
            record_bytes_max=options.record_bytes_max,
        )
    else:
        shape = CsvShape(**detected["shape"])
        records = CsvFormat(
            shape=shape,
            dialect=_dialect(shape, codec),
            header=header,
            column_count=int(detected["column_count"]),
            data_position=position,
            data_line=int(detected["data_line"]),
            record_bytes_max=options.record_bytes_max,
        )
    return Source(file, stream, records, dict(detected))


def _stream(file: LocatedFile, compression: str | None, codec: str) -> Stream:
    stream: Stream = GzipStream(file) if compression == "gzip" else PlainStream(file)
    return stream if codec in POSTGRES_NAMES else TranscodedStream(stream, codec)


def _sample(stream: Stream, size: int) -> bytes:
    """The first bytes, as many as there are before the stream ends or breaks off."""
    return Window(stream.reopened(), 0).look(size)


def _head_hash(stream: Stream, size: int) -> str:
    return hashlib.blake2b(_sample(stream, size)[:size], digest_size=16).hexdigest() if size else ""


def _dialect(shape: CsvShape, codec: str) -> CopyDialect:
    return CopyDialect(
        delimiter=chr(shape.delimiter),
        quote=chr(shape.quote),
        escape=chr(shape.escape),
        encoding=POSTGRES_NAMES[codec],
        codec="utf-8" if codec == "ascii" else codec,
        line_end=b"\r\n" if shape.is_crlf else b"\n",
    )


def _csv(
    file: LocatedFile, stream: Stream, shape: CsvShape, codec: str, *, options: ReadOptions, bom_bytes: int
) -> CsvFormat:
    """Read the header rows: what follows the last of them is data."""
    window = Window(stream.reopened(), bom_bytes)
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
            f"{file.path}: no header was found in the first {_HEADER_BYTES_MAX} bytes; is delimiter, quote or "
            "header another one?",
            code="format_undetectable",
        )
    last = int(lines[-1])
    dialect = _dialect(shape, codec)
    columns = int(found.counts[last])
    if columns > COLUMNS_MAX:
        raise SourceError(
            f"{file.path} has {columns} columns, more than {COLUMNS_MAX}", code="format_undetectable"
        )
    header: list[str] = []
    position, line = bom_bytes, 1
    if rows:
        begin = int(found.ends[last - 1]) if last else 0
        end = int(found.ends[last])
        stops = found.separators[int(found.counts[:last].sum()) :][:columns] - begin
        header = _names(file, buffer[begin:end], stops.tolist(), dialect)
        position = min(bom_bytes + end, bom_bytes + size)
        line += int(found.next_lines[last])
    return CsvFormat(
        shape=shape,
        dialect=dialect,
        header=header,
        column_count=columns,
        data_position=position,
        data_line=line,
        record_bytes_max=options.record_bytes_max,
    )


def _names(file: LocatedFile, record: bytes, stops: Sequence[int], dialect: CopyDialect) -> list[str]:
    if b"\0" in record or not is_decodable(record, dialect.codec):
        raise SourceError(
            f"{file.path}: the header is not text in {dialect.codec.upper()}; state the option encoding",
            code="format_undetectable",
        )
    starts = [0, *(stop + 1 for stop in stops)]
    fields = (record[start:stop] for start, stop in zip(starts, stops, strict=False))
    return [decode_field(field.rstrip(b"\r\n"), dialect).text for field in fields]


def _json_lines(file: LocatedFile, stream: Stream, options: ReadOptions, bom_bytes: int) -> JsonLinesFormat:
    """The keys of the first records, in the order in which they appear."""
    keys: dict[str, None] = dict.fromkeys(options.fields or ())
    if not keys:
        decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
        text = Window(stream.reopened(), bom_bytes).look(8 * _HEADER_BYTES_MAX)
        for line in text.split(b"\n", _HEADER_RECORDS)[:_HEADER_RECORDS]:
            try:
                keys.update(dict.fromkeys(decoder.decode(line)))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                continue  # its own row error later on
    if not keys:
        raise SourceError(
            f"{file.path}: none of the first lines is a JSON object with keys", code="format_undetectable"
        )
    if len(keys) > COLUMNS_MAX:
        raise SourceError(f"{file.path} has more than {COLUMNS_MAX} keys", code="format_undetectable")
    return JsonLinesFormat(
        header=list(keys),
        data_position=bom_bytes,
        ignore_unknown=options.ignore_unknown,
        record_bytes_max=options.record_bytes_max,
    )
