"""What an import may be told, typed and checked; see section "Options" of ``sql/README.md``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobd.errors import OptionError
from jobd.model import option_values as values
from jobd.model.option_values import Blank, ErrorLimit, OnConflict, OnFileError, Ragged, Similar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobd.model.option_values import PerColumn

__all__ = ["Blank", "ErrorLimit", "ImportOptions", "OnConflict", "OnFileError", "Ragged", "Similar"]

NOT_BUILT = frozenset(
    {
        "on_missing", "delete_when",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The options of one import; ``ImportOptions.parse(job.options)`` checks them.

    Where a value may differ from column to column, the names are those of the file or of the target.
    """

    # --- which row a record is, and what becomes of it
    key: tuple[str, ...] | None = None
    on_conflict: OnConflict = OnConflict.UPDATE
    update_columns: tuple[str, ...] | None = None
    blank: Blank = Blank.SET
    track_changes: bool = False

    # --- which field goes where
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    ignore_unknown: bool = False
    optional: tuple[str, ...] = ()

    # --- how values are written
    null_values: PerColumn[tuple[str, ...]] = ("",)
    trim: PerColumn[bool] = False
    decimal: PerColumn[str] | None = None
    thousands: PerColumn[str] | None = None
    true_values: PerColumn[tuple[str, ...]] | None = None
    false_values: PerColumn[tuple[str, ...]] | None = None
    date_format: PerColumn[str] | None = None
    time_zone: str | None = None

    # --- which records are taken
    schema: Mapping[str, Any] | bool | None = None
    similar: tuple[Similar, ...] = ()
    max_errors: ErrorLimit = values.NO_LIMIT

    # --- how the source is read
    header: bool | int = True
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    comment: str | None = None
    skip_rows: int | None = None
    ragged: Ragged = Ragged.ERROR
    rest: str | None = None
    records_path: str | None = None
    pattern: str | None = None
    separator: str | None = None

    # --- the job as a whole
    batch_size: int | None = None
    timeout: float | None = None
    atomic: bool = False
    force: bool = False
    changed_only: bool = False
    on_file_error: OnFileError = OnFileError.FAIL

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> ImportOptions:
        """Check the options of a job; raises OptionError naming the option, what is wrong and what is allowed.

        An option given as null counts as not given.
        """
        stated = {name: value for name, value in given.items() if value is not None}
        for name in sorted(stated):
            if name in NOT_BUILT:
                raise OptionError(
                    f"option {name} is not built yet in this version; submit the job without it",
                    code="option_not_built",
                )
            if name not in KNOWN:
                near = difflib.get_close_matches(name, sorted(KNOWN), 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise OptionError(f"option {name} is not known{hint}")
        parsed = cls(**{name: parse(name, stated[name]) for name, parse in _PARSERS.items() if name in stated})
        _require_sense(parsed)
        return parsed


def _require_sense(options: ImportOptions) -> None:
    """Refuse options that contradict each other."""
    if options.delimiter is not None and options.delimiter in {options.quote or '"', options.escape}:
        raise OptionError(f"option delimiter must differ from quote and escape; all are {options.delimiter!r}")
    if options.comment is not None and options.comment in {options.delimiter, options.quote or '"'}:
        raise OptionError(f"option comment must differ from delimiter and quote; all are {options.comment!r}")
    if isinstance(options.decimal, str) and options.decimal == options.thousands:
        raise OptionError(f"options decimal and thousands must differ; both are {options.decimal!r}")
    if options.rest is not None and options.rest in options.columns.values():
        raise OptionError(f"option rest: column {options.rest} is filled by option columns already")
    if options.track_changes and options.key == ():
        raise OptionError("option track_changes needs a key, by which changed rows are known; key is []")


# What the queue itself looks at.
_OF_THE_QUEUE = frozenset({"hold_on_failure"})

_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "key": values.names,
    "on_conflict": values.choice(OnConflict),
    "update_columns": values.names,
    "blank": values.choice(Blank),
    "track_changes": values.flag,
    "columns": values.mapping,
    "constants": values.constants,
    "provenance": values.provenance,
    "ignore_unknown": values.flag,
    "optional": values.names,
    "null_values": values.per_column(values.words),
    "trim": values.per_column(values.flag),
    "decimal": values.per_column(values.sign),
    "thousands": values.per_column(values.sign),
    "true_values": values.per_column(values.words),
    "false_values": values.per_column(values.words),
    "date_format": values.per_column(values.text),
    "time_zone": values.text,
    "schema": values.schema,
    "similar": values.similar,
    "max_errors": values.error_limit,
    "header": values.header,
    "delimiter": values.mark,
    "quote": values.mark_or_none,
    "escape": values.mark,
    "encoding": values.text,
    "comment": values.mark,
    "skip_rows": values.number(0, 1_000_000),
    "ragged": values.choice(Ragged),
    "rest": values.text,
    "records_path": values.text,
    "pattern": values.text,
    "separator": values.separator,
    "batch_size": values.number(1, values.BATCH_ROWS_MAX),
    "timeout": values.seconds,
    "atomic": values.flag,
    "force": values.flag,
    "changed_only": values.flag,
    "on_file_error": values.choice(OnFileError),
}

KNOWN = frozenset({*_PARSERS, *_OF_THE_QUEUE, *NOT_BUILT})
