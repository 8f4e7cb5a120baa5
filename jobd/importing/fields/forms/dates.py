"""Dates and times that are not written as ISO 8601 has them."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from jobd.errors import OptionError
from jobd.importing.fields.forms.date_pattern import DatePattern, Kind
from jobd.importing.fields.forms.form import Unreadable, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

DATE_KINDS = {
    "date": Kind.DATE,
    "time without time zone": Kind.TIME,
    "time with time zone": Kind.TIME,
    "timestamp without time zone": Kind.BOTH,
    "timestamp with time zone": Kind.BOTH,
}
_CHARACTERS_MAX = 200
_UNITS = {"epoch": 1, "epoch_ms": 1000}
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  in UTC, and written so
_COUNT = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE]\+?[0-9]{1,2})?")


class _Way(Protocol):
    """One way of writing; see DatePattern."""

    pattern: str

    def lacks(self, kind: Kind) -> list[str]: ...

    def read(self, value: str, kind: Kind) -> str | None: ...


class DateForm:
    """Reads what is written in one of several ways; the first that fits counts."""

    def __init__(self, ways: Sequence[_Way], kind: Kind) -> None:
        self._ways = ways
        self._kind = kind
        self._wanted = " | ".join(way.pattern for way in ways)

    def __call__(self, text: str, _was_quoted: bool, /) -> str:
        """The value in ISO 8601."""
        value = text.strip()
        reason = None
        if len(value) <= _CHARACTERS_MAX:
            for way in self._ways:
                try:
                    written = way.read(value, self._kind)
                except (ValueError, OverflowError) as error:
                    reason = reason or str(error)
                    continue
                if written is not None:
                    return written
        if reason is not None:
            raise Unreadable(f"{shown(text)} is written as {self._wanted}, but there is no such time: {reason}")
        raise Unreadable(f"{shown(text)} is not written as {self._wanted}")


class _Count:
    """Seconds, or fractions of them, since 1970 in UTC."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._per_second = _UNITS[pattern]

    @staticmethod
    def lacks(kind: Kind) -> list[str]:
        """A count says all but a time without date."""
        return ["time without a date"] if kind is Kind.TIME else []

    def read(self, value: str, kind: Kind) -> str | None:
        """The moment, in UTC."""
        if _COUNT.fullmatch(value) is None:
            return None
        microseconds = round(Decimal(value) * 1_000_000 / self._per_second)
        moment = _EPOCH + dt.timedelta(microseconds=microseconds)
        return moment.date().isoformat() if kind is Kind.DATE else f"{moment.isoformat()}+00"


def date_form(stated: str, kind: Kind, column_name: str, *, is_named: bool) -> DateForm | None:
    """The form of a column by its option: patterns separated by " | ", ``epoch``, ``epoch_ms``.

    Where the option names the column every way must fit its type; of an option for all columns those that do are
    taken, and None means that none does. Raises OptionError.
    """
    ways: list[_Way] = [
        _Count(each.lower()) if each.lower() in _UNITS else DatePattern(each)
        for each in re.split(r"\s+\|\s+", stated.strip())
    ]
    if is_named:
        for way in ways:
            if way.lacks(kind):
                raise OptionError(
                    f"option date_format: {way.pattern!r} lacks the {', '.join(way.lacks(kind))}, which column "
                    f"{column_name} needs"
                )
        return DateForm(ways, kind)
    fitting = [way for way in ways if not way.lacks(kind)]
    return DateForm(fitting, kind) if fitting else None
