"""Open text: how it is divided, and the columns that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.errors import OptionError
from jobd.sources.formats.encodings import POSTGRES_NAMES
from jobd.sources.formats.text_divide import divider
from jobd.sources.formats.text_pattern import Pattern, spans_lines
from jobd.sources.formats.text_reader import TextFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.sources.formats.probe import Probe
    from jobd.sources.options import ReadOptions


def needs_utf8(options: ReadOptions) -> bool:
    """Whether the text is looked into, and so must be in one character set; lines go to PostgreSQL as they are."""
    return options.pattern is not None or options.separator is not None


def open_text(probe: Probe, options: ReadOptions) -> TextFormat:
    """The text as its options say; raises OptionError."""
    divider(options.separator)
    pattern = None if options.pattern is None else _pattern(options.pattern, options)
    name = "line" if options.separator is None else "block"
    return TextFormat(
        separator=options.separator,
        pattern=pattern,
        header=[name] if pattern is None else pattern.names,
        encoding=POSTGRES_NAMES[probe.codec],
        codec=_codec(probe.codec),
        ends_with_cr=b"\r" in probe.text and b"\n" not in probe.text,
        data_position=probe.bom_bytes,
        record_bytes_max=options.limits.record_bytes,
    )


def reopen_text(frozen: Mapping[str, Any], options: ReadOptions, codec: str) -> TextFormat:
    """The text as it was decided at the first start."""
    return TextFormat(
        separator=frozen["separator"],
        pattern=None if frozen["pattern"] is None else Pattern(frozen["pattern"]),
        header=list(frozen["header"]),
        encoding=POSTGRES_NAMES[codec],
        codec=_codec(codec),
        ends_with_cr=bool(frozen["ends_with_cr"]),
        data_position=int(frozen["data_position"]),
        data_line=int(frozen["data_line"]),
        record_bytes_max=options.limits.record_bytes,
    )


def _codec(codec: str) -> str:
    return "utf-8" if codec == "ascii" else codec


def _pattern(text: str, options: ReadOptions) -> Pattern:
    pattern = Pattern(text)
    spanning = spans_lines(text) if options.separator is None else None
    if spanning is not None:
        raise OptionError(
            f"pattern: has {spanning} in it, but is held against each line by itself; state the option separator "
            r'("\n\n": a blank line), which makes blocks of several lines'
        )
    if len(pattern.names) > options.limits.columns:
        raise OptionError(
            f"pattern: has more named groups than JOBD_COLUMNS_MAX allows ({options.limits.columns})"
        )
    return pattern
