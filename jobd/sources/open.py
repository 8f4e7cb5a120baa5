"""Open a source: find it, unpack it, detect what it is, read its header."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jobd.errors import SourceChanged, SourceError
from jobd.sources.formats import detect
from jobd.sources.formats.csv_open import open_csv, reopen_csv
from jobd.sources.formats.encodings import POSTGRES_NAMES
from jobd.sources.formats.json_open import open_json, open_json_lines, reopen_json, reopen_json_lines
from jobd.sources.formats.mended import MendedFormat, is_mended, options_of_mended, own_options
from jobd.sources.formats.probe import Probe
from jobd.sources.formats.text_open import needs_utf8, open_text, reopen_text
from jobd.sources.formats.transcode import TranscodedStream
from jobd.sources.formats.window import Window
from jobd.sources.formats.workbook import COMPRESSION as WORKBOOK
from jobd.sources.formats.workbook import open_workbook
from jobd.sources.formats.workbook_format import open_sheet, reopen_sheet
from jobd.sources.formats.workbook_kind import is_workbook
from jobd.sources.options import ReadOptions
from jobd.sources.packing.detect import detect_compression, unpack
from jobd.sources.places.local import open_file
from jobd.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobd.sources.formats.block import Format
    from jobd.sources.formats.workbook import SheetText
    from jobd.sources.stream import SourceFile, Stream


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
        return open_stored(file, options, detected)
    except BaseException:
        file.close()
        raise


def open_stored(file: SourceFile, options: ReadOptions, detected: Mapping[str, Any] | None = None) -> Source:
    """One file that is open already; it belongs to the source from then on, and stays open when this raises."""
    return _detected(file, options) if detected is None else _as_before(file, detected, options)


def _detected(file: SourceFile, options: ReadOptions) -> Source:
    if options.source_type in {None, "xlsx"} and is_workbook(file):
        return _sheet(file, options)
    compression = detect_compression(file)
    raw = unpack(file, compression, options.limits)
    sample = _sample(raw, detect.SAMPLE_BYTES)
    if not sample:
        raise SourceError(f"{file.name} is empty (0 bytes when unpacked)", code="source_empty")
    options = options_of_mended(sample, options) or options
    encoding = detect.detect_encoding(sample, file.name, options)
    probe = _probe(file, raw, sample, encoding, is_transcoded=encoding.codec not in POSTGRES_NAMES)
    kind = detect.detect_format(probe.text, file.name, options)
    # JSON's escapes are resolved here, to UTF-8; patterns know nothing else either.
    is_utf8 = needs_utf8(options) if kind == "text" else kind != "csv"
    if is_utf8 and probe.codec != "utf-8":
        probe = _probe(file, raw, sample, encoding, is_transcoded=True)
    records = _open_format(kind, probe, options)
    return Source(
        file,
        probe.stream,
        records,
        {
            "format": kind,
            "compression": compression,
            "encoding": encoding.codec,
            "is_transcoded": probe.stream is not raw,
            **records.frozen(),
            "head_hash": _head_hash(probe.stream, records.data_position),
        },
    )


def _sheet(file: SourceFile, options: ReadOptions) -> Source:
    """A sheet of a workbook; what is stated of how it is laid out is not meant for one of mended records."""
    text = open_workbook(file, options, may_be_own=True)
    if not text.is_own:
        return _read_sheet(file, text, options)
    with suppress(SourceError):
        found = _read_sheet(file, text, own_options(options))
        if is_mended(found.header):
            return found
    return _read_sheet(file, open_workbook(file, options), options)


def _read_sheet(file: SourceFile, text: SheetText, options: ReadOptions) -> Source:
    """A sheet as the options have it; its text has neither an encoding nor a dialect to be guessed."""
    stream = text.stream
    sample = _sample(stream, detect.SAMPLE_BYTES)
    is_whole = len(sample) < detect.SAMPLE_BYTES
    probe = Probe(name=file.name, stream=stream, text=sample, is_whole=is_whole, bom_bytes=0, codec="utf-8")
    records = _perhaps_mended(open_sheet(probe, options))
    return Source(
        file,
        stream,
        records,
        {
            "format": "xlsx",
            "compression": WORKBOOK,
            "encoding": "utf-8",
            "is_transcoded": False,
            "sheet": text.sheet,
            **records.frozen(),
            "head_hash": _head_hash(stream, records.data_position),
        },
    )


def _as_before(file: SourceFile, detected: Mapping[str, Any], options: ReadOptions) -> Source:
    """The source read in the way that was decided at the first start."""
    if detected.get("is_mended"):
        options = own_options(options)
    codec = detected["encoding"]
    compression = WORKBOOK if detected["compression"] == WORKBOOK else detect_compression(file)
    if compression == WORKBOOK:
        stream: Stream = open_workbook(file, options, sheet=detected["sheet"]).stream
    else:
        stream = unpack(file, detected["compression"], options.limits)
    if detected["is_transcoded"]:
        stream, codec = TranscodedStream(stream, codec), "utf-8"
    position = int(detected["data_position"])
    if compression != detected["compression"] or _head_hash(stream, position) != detected["head_hash"]:
        raise SourceChanged(
            f"{file.name} has changed: its beginning is not what it was when the job first started"
        )
    return Source(file, stream, _reopen_format(detected, file.name, options, codec), dict(detected))


def _perhaps_mended(records: Format) -> Format:
    return MendedFormat(lines=records) if is_mended(records.header) else records


def _open_format(kind: str, probe: Probe, options: ReadOptions) -> Format:
    if kind == "csv":
        return _perhaps_mended(open_csv(probe, options))
    if kind == "text":
        return open_text(probe, options)
    return open_json(probe, options) if kind == "json" else open_json_lines(probe, options)


def _reopen_format(detected: Mapping[str, Any], name: str, options: ReadOptions, codec: str) -> Format:
    if detected["format"] in {"csv", "xlsx"}:
        is_sheet = detected["format"] == "xlsx"
        lines = reopen_sheet(detected, options) if is_sheet else reopen_csv(detected, options, codec)
        return MendedFormat(lines=lines) if detected.get("is_mended") else lines
    if detected["format"] == "text":
        return reopen_text(detected, options, codec)
    if detected["format"] == "json":
        return reopen_json(detected, name, options)
    return reopen_json_lines(detected, options)


def _probe(
    file: SourceFile, raw: Stream, sample: bytes, encoding: detect.Encoding, *, is_transcoded: bool
) -> Probe:
    stream, bom_bytes, codec = raw, encoding.bom_bytes, encoding.codec
    if is_transcoded:
        stream, codec = TranscodedStream(raw.reopened(), codec), "utf-8"
        sample = _sample(stream, detect.SAMPLE_BYTES)
        bom_bytes = 3 if bom_bytes else 0
    text = sample[bom_bytes:]
    if not text:
        raise SourceError(f"{file.name} holds nothing but a byte order mark", code="format_undetectable")
    return Probe(
        name=file.name,
        stream=stream,
        text=text,
        is_whole=len(sample) < detect.SAMPLE_BYTES,
        bom_bytes=bom_bytes,
        codec=codec,
    )


def _sample(stream: Stream, size: int) -> bytes:
    """The first bytes, as many as there are before the stream ends or breaks off."""
    return Window(stream.reopened(), 0).look(size)


def _head_hash(stream: Stream, size: int) -> str:
    return hashlib.blake2b(_sample(stream, size)[:size], digest_size=16).hexdigest() if size else ""
