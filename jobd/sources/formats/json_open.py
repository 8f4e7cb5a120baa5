"""Open JSON: find out where the records are, and which keys they have; those of the first ones become columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from jobd.errors import OptionError, SourceError
from jobd.sources.formats.json_cutter import Shape
from jobd.sources.formats.json_decoders import pairs
from jobd.sources.formats.json_documents import Documents, Layout
from jobd.sources.formats.json_fault import Fault, source_error
from jobd.sources.formats.json_nesting import Nesting
from jobd.sources.formats.json_path import StepMissing, Way, parse_path
from jobd.sources.formats.json_reader import ID_FIELD, JsonFormat
from jobd.sources.formats.json_stretch import LongRecord
from jobd.sources.formats.json_text import Text
from jobd.sources.formats.jsonl_reader import JsonLinesFormat
from jobd.sources.formats.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobd.sources.formats.json_stretch import Stretch
    from jobd.sources.formats.probe import Probe
    from jobd.sources.options import ReadOptions

_SAMPLE_RECORDS = 1000  # the keys of so many records become columns
_SAMPLE_BYTES_MAX = 8 << 20
_GEO = re.compile(rb'\{[^{}\[\]]*"type"\s*:\s*"FeatureCollection"')
_GEO_BYTES = 1 << 12


def open_json_lines(probe: Probe, options: ReadOptions) -> JsonLinesFormat:
    """One object a line. The keys of the first records, in the order in which they appear."""
    if options.records_path is not None:
        raise OptionError("records_path is for JSON documents: say source_type json, which reads such a file too")
    keys = list(options.fields or ())
    if not keys:
        text = Window(probe.stream.reopened(), probe.bom_bytes).look(_SAMPLE_BYTES_MAX)
        keys = _keys(map(_pairs, text.split(b"\n", _SAMPLE_RECORDS)[:_SAMPLE_RECORDS]))
    if not keys:
        raise SourceError(
            f"{probe.name}: none of the first lines is a JSON object with keys", code="format_undetectable"
        )
    _require_few(keys, probe, options)
    return JsonLinesFormat(
        header=keys, data_position=probe.bom_bytes, ignore_unknown=options.ignore_unknown, limits=options.limits
    )


def reopen_json_lines(frozen: Mapping[str, Any], options: ReadOptions) -> JsonLinesFormat:
    """The format as it was decided at the first start."""
    return JsonLinesFormat(
        header=list(frozen["header"]),
        data_position=int(frozen["data_position"]),
        data_line=int(frozen["data_line"]),
        ignore_unknown=options.ignore_unknown,
        limits=options.limits,
    )


def open_json(probe: Probe, options: ReadOptions) -> JsonFormat:
    """Documents of any size. An array or object without records at all has no header."""
    try:
        return _open_json(probe, options)
    except StepMissing as missing:
        raise SourceError(f"{probe.name}: {missing.reason}", code="format_undetectable") from None
    except Fault as fault:
        raise source_error(fault, probe.name, probe.stream.reopened()) from None


def reopen_json(frozen: Mapping[str, Any], name: str, options: ReadOptions) -> JsonFormat:
    """The format as it was decided at the first start."""
    return JsonFormat(
        name=name,
        header=list(frozen["header"]),
        layout=Layout.from_json(frozen["layout"]),
        data_position=int(frozen["data_position"]),
        data_line=int(frozen["data_line"]),
        ignore_unknown=options.ignore_unknown,
        limits=options.limits,
    )


def _open_json(probe: Probe, options: ReadOptions) -> JsonFormat:
    layout = _stated(probe, options) if options.records_path is not None else _found(probe, options)
    sample = _sample(probe, layout, options)
    keys = list(options.fields or _keys(each for _, each in sample.records))
    if not keys:
        if sample.fault is not None:
            raise sample.fault
        if sample.records or not sample.is_whole:
            raise SourceError(
                f"{probe.name}: none of the first records is an object with keys; option records_path says where "
                "in a document its records are",
                code="format_undetectable",
            )
    if layout.shape is Shape.KEYED and _names_id(sample, options):
        layout = replace(layout, names_id=True)
        keys = keys if options.fields else [ID_FIELD, *keys]
    _require_few(keys, probe, options)
    return JsonFormat(
        name=probe.name,
        header=keys,
        layout=layout,
        data_position=probe.bom_bytes,
        ignore_unknown=options.ignore_unknown,
        limits=options.limits,
    )


def _stated(probe: Probe, options: ReadOptions) -> Layout:
    """Where ``records_path`` leads."""
    steps, takes_values = parse_path(options.records_path or "")
    text, way = _text(probe), Way(steps)
    way.enter(text)
    first = text.next()
    if first == b"[":
        shape = Shape.ARRAY
    elif first == b"{":
        shape = Shape.KEYED if takes_values else Shape.SINGLE if steps else Shape.SEQUENCE
    else:
        raise _no_records(probe, "records_path leads to")
    return Layout(steps=steps, kinds=way.kinds, shape=shape)


def _found(probe: Probe, options: ReadOptions) -> Layout:
    """An array; an object of two objects or more, and nothing else, as far as is looked; else objects in a row."""
    first = _text(probe).next()
    if first == b"[":
        return Layout(shape=Shape.ARRAY)
    if first != b"{":
        raise _no_records(probe, "the document is")
    if _GEO.match(probe.text.lstrip()[:_GEO_BYTES]):
        raise SourceError(
            f'{probe.name} is one GeoJSON FeatureCollection: say records_path "features" to import its features',
            code="format_undetectable",
        )
    keyed = Layout(shape=Shape.KEYED)
    sample = _sample(probe, keyed, options)
    is_keyed = len(sample.records) > 1 and sample.has_objects_only and sample.documents == 1
    return keyed if is_keyed else Layout(shape=Shape.SEQUENCE)


def _no_records(probe: Probe, what: str) -> SourceError:
    return SourceError(
        f"{probe.name}: {what} a single value, which is neither an array nor an object",
        code="format_undetectable",
    )


def _text(probe: Probe) -> Text:
    return Text(Window(probe.stream.reopened(), probe.bom_bytes), 1, Nesting())


@dataclass(slots=True)
class _Sample:
    """The first records: their ids in an object, and their pairs, none of what is no object with keys."""

    records: list[tuple[bytes | None, dict[str, msgspec.Raw]]] = field(default_factory=list)
    has_objects_only: bool = True
    documents: int = 0
    is_whole: bool = False
    fault: Fault | SourceError | None = None


def _sample(probe: Probe, layout: Layout, options: ReadOptions) -> _Sample:
    sample = _Sample()
    window = Window(probe.stream.reopened(), probe.bom_bytes)
    documents = Documents(layout, options.limits.record_bytes, window, 1)
    try:
        for found in documents.records(is_inside=False):
            _add(found, sample)
            if len(sample.records) >= _SAMPLE_RECORDS or window.start - probe.bom_bytes > _SAMPLE_BYTES_MAX:
                break
        else:
            sample.is_whole = True
    except (Fault, SourceError) as fault:
        sample.fault = fault  # what came before is kept, and the import meets it where it is
    sample.documents = documents.entered
    return sample


def _add(found: Stretch | LongRecord, sample: _Sample) -> None:
    if isinstance(found, LongRecord):
        sample.has_objects_only &= found.beginning.startswith(b"{")
        sample.records.append((None, {}))
        return
    for index in range(min(len(found), _SAMPLE_RECORDS - len(sample.records))):
        record = found.record(index)
        sample.has_objects_only &= record.startswith(b"{")
        sample.records.append((None if found.ids is None else found.ids[index], _pairs(record)))


def _pairs(record: bytes) -> dict[str, msgspec.Raw]:
    try:
        return pairs(record)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}  # its own row error later on


def _keys(records: Iterable[dict[str, msgspec.Raw]]) -> list[str]:
    """All keys, in the order of their first appearance."""
    keys: dict[str, None] = {}
    for record in records:
        keys.update(dict.fromkeys(record))
    return list(keys)


def _names_id(sample: _Sample, options: ReadOptions) -> bool:
    """Whether what a record stands under becomes a field: not where one of its own has that name, or says it."""
    if options.fields is not None and ID_FIELD not in options.fields:
        return False
    same: set[str] | None = None
    for identity, record in sample.records:
        if ID_FIELD in record:
            return False
        if identity is not None and record:
            alike = {key for key, value in record.items() if bytes(value) in {identity, identity[1:-1]}}
            same = alike if same is None else same & alike
    return not same


def _require_few(keys: list[str], probe: Probe, options: ReadOptions) -> None:
    if len(keys) > options.limits.columns:
        raise SourceError(
            f"{probe.name} has more keys than JOBD_COLUMNS_MAX allows ({options.limits.columns})",
            code="format_undetectable",
        )
