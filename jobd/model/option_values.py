"""What the value of each option may be: a function for each kind, which gives it typed or raises OptionError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from jobd.errors import OptionError

T = TypeVar("T")
Parser: TypeAlias = Callable[[str, object], T]
# One value for all columns, or one for each that is named.
PerColumn: TypeAlias = T | Mapping[str, T]

BATCH_ROWS_MAX = 1_000_000
SHARE_JUDGED_FROM_ROW = 1000
TEXT_CHARACTERS_MAX = 10_000
SIMILAR_COLUMNS_MAX = 8
PROVENANCE = ("job_id", "file", "row_number", "imported_at")


class OnConflict(StrEnum):
    """What becomes of a record whose row exists already."""

    UPDATE = "update"
    SKIP = "skip"
    ERROR = "error"


class Blank(StrEnum):
    """Whether a null of the file overwrites what the row has."""

    SET = "set"
    KEEP = "keep"


class Ragged(StrEnum):
    """What becomes of a record with another number of fields than there are columns."""

    ERROR = "error"
    PAD = "pad"
    TRUNCATE = "truncate"


class OnFileError(StrEnum):
    """What becomes of a job of many files when one cannot be read."""

    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLimit:
    """How many refused records a job bears: ``count``, or ``share`` of the records read, from row 1000 on."""

    count: int | None = None
    share: float | None = None


NO_LIMIT = ErrorLimit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """A record is refused when a row's ``column`` resembles its own at least by ``threshold``, 0 to 1."""

    column: str
    threshold: float


def invalid(name: str, wanted: str, value: object) -> OptionError:
    """The refusal of a value, which is shown shortened."""
    shown = repr(value)
    return OptionError(f"option {name} must be {wanted}; it is {shown if len(shown) <= 80 else shown[:77] + '…'}")


def per_column(parse: Parser[T]) -> Parser[PerColumn[T]]:
    """A value for all columns, or an object with one for each that it names."""

    def parse_each(name: str, value: object) -> PerColumn[T]:
        if isinstance(value, dict):
            return {column: parse(name, each) for column, each in value.items()}
        return parse(name, value)

    return parse_each


def choice(words: type[StrEnum]) -> Parser[StrEnum]:
    """One of some words."""

    def parse(name: str, value: object) -> StrEnum:
        if not isinstance(value, str) or value not in set(words):
            raise invalid(name, "one of " + ", ".join(words), value)
        return words(value)

    return parse


def number(least: int, most: int) -> Parser[int]:
    """A whole number within bounds."""

    def parse(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise invalid(name, f"a whole number from {least} to {most:,}", value)
        return value

    return parse


def names(name: str, value: object) -> tuple[str, ...]:
    """Names of columns, all different; one may stand alone."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise invalid(name, "a list of column names", value)
    if len(set(listed)) != len(listed):
        raise invalid(name, "a list of different column names", value)
    return tuple(listed)


def mapping(name: str, value: object) -> dict[str, str]:
    """From names in the file to names in the target."""
    if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
        raise invalid(name, 'an object {"source name": "target column"}', value)
    return value


def constants(name: str, value: object) -> dict[str, Any]:
    """Values of columns that the file does not have."""
    if not isinstance(value, dict) or not all(value):
        raise invalid(name, 'an object {"target column": value}', value)
    return value


def provenance(name: str, value: object) -> dict[str, str]:
    """Which column is to tell what of a row's origin."""
    known = ", ".join(PROVENANCE)
    if (
        not isinstance(value, dict)
        or not set(value) <= set(PROVENANCE)
        or not all(isinstance(each, str) and each for each in value.values())
        or len(set(value.values())) != len(value)
    ):
        raise invalid(name, f'an object {{"what": "target column"}} with different columns for {known}', value)
    return value


def words(name: str, value: object) -> tuple[str, ...]:
    """Words; one may stand alone."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
        raise invalid(name, 'a list of words, or an object {"column": [words]}', value)
    return tuple(dict.fromkeys(listed))


def header(name: str, value: object) -> bool | int:
    """Whether, and how many, rows name the columns."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and 1 <= value <= 100:
        return value
    raise invalid(name, "true, false or the number of header rows (1 to 100)", value)


def mark(name: str, value: object) -> str:
    """A character that gives CSV its structure."""
    if (
        isinstance(value, str)
        and len(value) == 1
        and value.isascii()
        and not value.isalnum()
        and value not in "\r\n\0"
    ):
        return value
    raise invalid(name, "one ASCII character that is no letter, digit or line end", value)


def mark_or_none(name: str, value: object) -> str:
    """Such a character; an empty text: there is none."""
    return "" if value == "" else mark(name, value)


def sign(name: str, value: object) -> str:
    """A character within numbers."""
    if isinstance(value, str) and len(value) == 1 and not value.isalnum() and value not in "+-\r\n\0":
        return value
    raise invalid(name, "one character that is no letter, digit, + or -", value)


def text(name: str, value: object) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip() or len(value) > TEXT_CHARACTERS_MAX or "\0" in value:
        raise invalid(name, f"a text of 1 to {TEXT_CHARACTERS_MAX:,} characters, not blank", value)
    return value if name == "pattern" else value.strip()


def separator(name: str, value: object) -> str:
    """A text that may well be blank, as line ends are."""
    if not isinstance(value, str) or not value or len(value) > TEXT_CHARACTERS_MAX or "\0" in value:
        raise invalid(name, f"a text of 1 to {TEXT_CHARACTERS_MAX:,} characters", value)
    return value


def seconds(name: str, value: object) -> float:
    """A time that ends."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise invalid(name, "a number of seconds above 0", value)
    return float(value)


def flag(name: str, value: object) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise invalid(name, "true or false", value)
    return value


def schema(name: str, value: object) -> dict[str, Any] | bool:
    """A JSON Schema; whether it is a good one is found out when it is compiled."""
    if not isinstance(value, dict | bool):
        raise invalid(name, "a JSON Schema (an object)", value)
    return value


def similar(name: str, value: object) -> tuple[Similar, ...]:
    """One rule or several, each of one column."""
    wanted = 'an object {"column": "name", "threshold": 0.8}, the threshold above 0 and at most 1'
    listed = value if isinstance(value, list) else [value]
    if not 1 <= len(listed) <= SIMILAR_COLUMNS_MAX:
        raise invalid(name, f"one such object to {SIMILAR_COLUMNS_MAX}: {wanted}", value)
    rules = []
    for each in listed:
        if not isinstance(each, dict) or set(each) != {"column", "threshold"}:
            raise invalid(name, wanted, value)
        column, threshold = each["column"], each["threshold"]
        is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if not isinstance(column, str) or not column or not is_number or not 0 < threshold <= 1:
            raise invalid(name, wanted, value)
        rules.append(Similar(column=column, threshold=float(threshold)))
    return tuple(rules)


def error_limit(name: str, value: object) -> ErrorLimit:
    """A count, or a share as a percentage."""
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
    raise invalid(name, 'a whole number of records from 0, or a share such as "1%"', value)
