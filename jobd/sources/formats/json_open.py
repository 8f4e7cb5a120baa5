"""Open JSON Lines: the keys of its first records become columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jobd.errors import SourceError
from jobd.sources.formats.jsonl_reader import JsonLinesFormat
from jobd.sources.formats.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.sources.formats.probe import Probe
    from jobd.sources.options import ReadOptions

_HEADER_RECORDS = 1000  # the keys of so many records become columns
_HEADER_BYTES_MAX = 8 << 20


def open_json_lines(probe: Probe, options: ReadOptions) -> JsonLinesFormat:
    """The keys of the first records, in the order in which they appear."""
    keys: dict[str, None] = dict.fromkeys(options.fields or ())
    if not keys:
        decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
        text = Window(probe.stream.reopened(), probe.bom_bytes).look(_HEADER_BYTES_MAX)
        for line in text.split(b"\n", _HEADER_RECORDS)[:_HEADER_RECORDS]:
            try:
                keys.update(dict.fromkeys(decoder.decode(line)))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                continue  # its own row error later on
    if not keys:
        raise SourceError(
            f"{probe.name}: none of the first lines is a JSON object with keys", code="format_undetectable"
        )
    if len(keys) > options.limits.columns:
        raise SourceError(
            f"{probe.name} has more keys than JOBD_COLUMNS_MAX allows ({options.limits.columns})",
            code="format_undetectable",
        )
    return JsonLinesFormat(
        header=list(keys),
        data_position=probe.bom_bytes,
        ignore_unknown=options.ignore_unknown,
        limits=options.limits,
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
