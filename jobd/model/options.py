"""What an import may be told, typed and checked; see section "Options" of ``sql/README.md``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from jobd.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BATCH_ROWS_MAX = 1_000_000
SHARE_JUDGED_FROM_ROW = 1000


class OnConflict(StrEnum):
    """What becomes of a record whose row exists already."""

    UPDATE = "update"
    SKIP = "skip"
    ERROR = "error"


NOT_BUILT = frozenset(
    {
        "trim",
        "decimal",
        "thousands",
        "true_values",
        "false_values",
        "date_format",
        "time_zone",
        "update_columns",
        "blank",
        "provenance",
        "on_missing",
        "delete_when",
        "schema",
        "similar",
        "atomic",
        "track_changes",
        "changed_only",
        "on_file_error",
        "comment",
        "skip_rows",
        "rest",
        "records_path",
        "pattern",
        "separator",
    }
)
BUILT = frozenset(
    {
        "key",
        "on_conflict",
        "columns",
        "constants",
        "null_values",
        "header",
        "delimiter",
        "quote",
        "escape",
        "encoding",
        "batch_size",
        "max_errors",
        "timeout",
        "force",
        "ignore_unknown",
        "optional",
        "ragged",
        "hold_on_failure",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLimit:
    """How many refused records a job bears: ``count``, or ``share`` of the records read, from row 1000 on."""

    count: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The options of one import; ``ImportOptions.parse(job.options)`` checks them."""

    key: tuple[str, ...] | None = None
    on_conflict: OnConflict = OnConflict.UPDATE
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    null_values: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ("",)
    header: bool | int = True
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    batch_size: int | None = None
    max_errors: ErrorLimit = ErrorLimit()
    timeout: float | None = None
    force: bool = False
    ignore_unknown: bool = False
    optional: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> ImportOptions:
        """Check the options of a job; raises OptionError naming the option, what is wrong and what is allowed.

        An option given as null counts as not given.
        """
        options = {name: value for name, value in given.items() if value is not None}
        for name in sorted(options):
            if name in NOT_BUILT or (name == "ragged" and options[name] != "error"):
                raise OptionError(
                    f"option {name} is not built yet in this version; submit the job without it",
                    code="option_not_built",
                )
            if name not in BUILT:
                near = difflib.get_close_matches(name, sorted(BUILT | NOT_BUILT), 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise OptionError(f"option {name} is not known{hint}")
        values = {name: parse(name, options[name]) for name, parse in _PARSERS.items() if name in options}
        parsed = cls(**values)
        _require_distinct_marks(parsed)
        return parsed


def _invalid(name: str, wanted: str, value: object) -> OptionError:
    shown = repr(value)
    return OptionError(f"option {name} must be {wanted}; it is {shown if len(shown) <= 80 else shown[:77] + '…'}")


def _names(name: str, value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise _invalid(name, "a list of column names", value)
    if len(set(values)) != len(values):
        raise _invalid(name, "a list of different column names", value)
    return tuple(values)


def _key(name: str, value: object) -> tuple[str, ...] | None:
    return _names(name, value) or None


def _choice(name: str, value: object) -> OnConflict:
    if not isinstance(value, str) or value not in set(OnConflict):
        raise _invalid(name, "one of " + ", ".join(OnConflict), value)
    return OnConflict(value)


def _mapping(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
        raise _invalid(name, 'an object {"source name": "target column"}', value)
    return value


def _constants(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(value):
        raise _invalid(name, 'an object {"target column": value}', value)
    return value


def _null_words(name: str, value: object) -> tuple[str, ...] | dict[str, tuple[str, ...]]:
    wanted = 'a list of words, or an object {"column": [words]}'
    if isinstance(value, dict):
        return {column: _words(name, words, wanted) for column, words in value.items()}
    return _words(name, value, wanted)


def _words(name: str, value: object, wanted: str) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _invalid(name, wanted, value)
    return tuple(dict.fromkeys(words))


def _header(name: str, value: object) -> bool | int:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and 1 <= value <= 100:
        return value
    raise _invalid(name, "true, false or the number of header rows (1 to 100)", value)


def _mark(name: str, value: object) -> str:
    if (
        isinstance(value, str)
        and len(value) == 1
        and value.isascii()
        and not value.isalnum()
        and value not in "\r\n\0"
    ):
        return value
    raise _invalid(name, "one ASCII character that is no letter, digit or line end", value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _invalid(name, "the name of an encoding, for instance utf-8 or windows-1252", value)
    return value.strip()


def _rows(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= BATCH_ROWS_MAX:
        raise _invalid(name, f"a whole number from 1 to {BATCH_ROWS_MAX:,}", value)
    return value


def _error_limit(name: str, value: object) -> ErrorLimit:
    wanted = 'a whole number of records from 0, or a share such as "1%"'
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return ErrorLimit(count=value)
    if isinstance(value, str):
        digits = value.strip()
        try:
            if digits.endswith("%"):
                share = float(digits[:-1]) / 100
                if 0 <= share <= 1:
                    return ErrorLimit(share=share)
            elif digits.isdecimal():
                return ErrorLimit(count=int(digits))
        except ValueError:
            pass
    raise _invalid(name, wanted, value)


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise _invalid(name, "a number of seconds above 0", value)
    return float(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _invalid(name, "true or false", value)
    return value


def _require_distinct_marks(options: ImportOptions) -> None:
    if options.delimiter is not None and options.delimiter in {options.quote or '"', options.escape}:
        raise OptionError(f"option delimiter must differ from quote and escape; all are {options.delimiter!r}")


_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "key": _key,
    "on_conflict": _choice,
    "columns": _mapping,
    "constants": _constants,
    "null_values": _null_words,
    "header": _header,
    "delimiter": _mark,
    "quote": _mark,
    "escape": _mark,
    "encoding": _text,
    "batch_size": _rows,
    "max_errors": _error_limit,
    "timeout": _seconds,
    "force": _flag,
    "ignore_unknown": _flag,
    "optional": _names,
}
