"""One way of writing dates and times, compiled from its pattern: strict, and anchored at both ends."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import TYPE_CHECKING

from jobd.errors import OptionError
from jobd.importing.fields.forms.date_tokens import Part, Token, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH_NUMBERS = {
    **{name: number for number, name in enumerate(_MONTHS, 1)},
    **{name[:3]: number for number, name in enumerate(_MONTHS, 1)},
    "sept": 9,
}
_OFFSET = "[+-](?:[0-9]{1,2}(?::[0-9]{2})?|[0-9]{4})"
# Of each token: what it looks like, and what it looks like where digits stand right beside it.
_SHAPES = {
    Token(Part.YEAR, "4"): ("[0-9]{4}", "[0-9]{4}"),
    Token(Part.YEAR, "2"): ("[0-9]{2}", "[0-9]{2}"),
    Token(Part.MONTH, "number"): ("[0-9]{1,2}", "[0-9]{2}"),
    Token(Part.MONTH, "long"): ("|".join(_MONTHS), ""),
    Token(Part.MONTH, "short"): ("|".join(name[:3] for name in _MONTHS if name != "september") + "|sept?", ""),
    Token(Part.DAY): ("[0-9]{1,2}", "[0-9]{2}"),
    Token(Part.DAY_NAME): (r"[^\W\d_]+\.?", ""),
    Token(Part.HOUR, "24"): ("[0-9]{1,2}", "[0-9]{2}"),
    Token(Part.HOUR, "12"): ("[0-9]{1,2}", "[0-9]{2}"),
    Token(Part.MINUTE): ("[0-9]{2}", "[0-9]{2}"),
    Token(Part.SECOND): ("[0-9]{2}", "[0-9]{2}"),
    Token(Part.FRACTION, "3"): ("[0-9]{1,3}", "[0-9]{3}"),
    Token(Part.FRACTION, "6"): ("[0-9]{1,9}", "[0-9]{6}"),
    Token(Part.HALF): (r"[ap]\.?m\.?", ""),
    Token(Part.ZONE, "offset"): (f"z|{_OFFSET}", ""),
    Token(Part.ZONE, "hour"): ("[+-][0-9]{1,2}", "[+-][0-9]{2}"),
    Token(Part.ZONE, "name"): (f"[a-z_]+(?:/[a-z_-]+)*|{_OFFSET}", ""),
    Token(Part.ZONE, "Z"): ("z", ""),
    Token(Part.ZONE_MINUTE): ("[0-9]{2}", "[0-9]{2}"),
    Token(Part.BLANK): ("[ \t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]+", ""),
}
_DATE = frozenset({Part.YEAR, Part.MONTH, Part.DAY})
_FREE = frozenset({Part.LITERAL, Part.BLANK, Part.DAY_NAME})


class Kind(StrEnum):
    """What is made of a value."""

    DATE = "date"
    TIME = "time"
    BOTH = "timestamp"


class DatePattern:
    """Reads what is written by the pattern. Years of two digits are 1969 to 2068, as in POSIX."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        found = tokens(pattern)
        self._parts = _parts(found, pattern)
        self._is_short_year = Token(Part.YEAR, "2") in found
        self._regex = re.compile(_regex(found), re.IGNORECASE)

    def lacks(self, kind: Kind) -> list[str]:
        """What the pattern does not say and a value of this kind needs."""
        needed = {Part.HOUR} if kind is Kind.TIME else _DATE
        return sorted(part.value for part in needed - self._parts)

    def read(self, value: str, kind: Kind) -> str | None:
        """The value in ISO 8601; None where it is written otherwise. Raises ValueError: there is no such time."""
        match = self._regex.fullmatch(value)
        if match is None:
            return None
        found = match.groupdict()
        if kind is Kind.TIME:
            return self._time(found)
        date = self._date(found)
        return date if kind is Kind.DATE or "HOUR" not in found else f"{date}T{self._time(found)}"

    def _date(self, found: dict[str, str]) -> str:
        year = int(found["YEAR"])
        if self._is_short_year:
            year += 1900 if year >= 69 else 2000
        month = found["MONTH"].lower()
        return dt.date(year, _MONTH_NUMBERS.get(month) or int(month), int(found["DAY"])).isoformat()

    @staticmethod
    def _time(found: dict[str, str]) -> str:
        hour = int(found["HOUR"])
        half = found.get("HALF")
        if half is not None:
            if not 1 <= hour <= 12:
                raise ValueError("an hour before AM or PM must be in 1..12")
            hour = hour % 12 + (12 if half[0] in "pP" else 0)
        minute, second, fraction = found.get("MINUTE", "00"), found.get("SECOND", "00"), found.get("FRACTION")
        # The end of a day and leap seconds are PostgreSQL's to judge.
        is_midnight = hour == 24 and not int(minute) and not int(second) and not int(fraction or 0)
        if (hour > 23 and not is_midnight) or int(minute) > 59 or int(second) > 60:
            raise ValueError("hour, minute or second is too large")
        text = f"{hour:02}:{minute}:{second}"
        if fraction:
            text += f".{fraction}"
        return text + _zone(found.get("ZONE"), found.get("ZONE_MINUTE"))


def _zone(zone: str | None, minute: str | None) -> str:
    if zone is None:
        return ""
    if zone in {"z", "Z"}:
        return "+00"
    if minute is not None:
        return f"{zone}:{minute}"
    return zone if zone[0] in "+-" else f" {zone}"


def _parts(found: Sequence[Token], pattern: str) -> frozenset[Part]:
    parts = [token.part for token in found if token.part not in _FREE]
    twice = next((part for part in parts if parts.count(part) > 1), None)
    if twice is not None:
        hint = "; minutes are MI" if twice is Part.MONTH else ""
        raise OptionError(f"option date_format: {pattern!r} names the {twice} twice{hint}")
    problem = None
    if not parts:
        problem = "names no part of a date or time"
    elif (Token(Part.HOUR, "12") in found) != (Part.HALF in parts):
        problem = "must name both or none of HH12 and AM (%I and %p); hours from 0 to 23 are HH24 (%H)"
    elif Part.HOUR not in parts and {Part.MINUTE, Part.SECOND, Part.FRACTION, Part.ZONE} & set(parts):
        problem = "names a part of a time, but no hour (HH24)"
    elif Part.FRACTION in parts and Part.SECOND not in parts:
        problem = "names a fraction, but no second (SS)"
    elif Part.SECOND in parts and Part.MINUTE not in parts:
        problem = "names a second, but no minute (MI)"
    elif Part.ZONE_MINUTE in parts and Token(Part.ZONE, "hour") not in found:
        problem = "names TZM without TZH"
    if problem is not None:
        raise OptionError(f"option date_format: {pattern!r} {problem}")
    return frozenset(parts)


def _regex(found: Sequence[Token]) -> str:
    pieces = []
    for place, token in enumerate(found):
        if token.part is Part.LITERAL:
            pieces.append(re.escape(token.shape))
            continue
        wide, narrow = _SHAPES[token]
        beside = [*found[max(0, place - 1) : place], *found[place + 1 : place + 2]]
        is_tight = bool(narrow) and any(_is_digits(each) for each in beside)
        shape = narrow if is_tight else wide
        is_free = token.part in _FREE
        pieces.append(f"(?:{shape})" if is_free else f"(?P<{token.part.name}>{shape})")
    return "".join(pieces)


def _is_digits(token: Token) -> bool:
    """Whether digits may stand at both ends of what a token stands for."""
    if token.part is Part.LITERAL:
        return token.shape[:1].isdigit() or token.shape[-1:].isdigit()
    return _SHAPES[token][0].startswith("[0-9]")
