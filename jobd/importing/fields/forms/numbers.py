"""Numbers with another decimal sign, or with signs between thousands."""

from __future__ import annotations

import re

from jobd.errors import OptionError
from jobd.importing.fields.forms.form import Unreadable, shown

WHOLE_TYPES = frozenset({"smallint", "integer", "bigint"})
NUMBER_TYPES = WHOLE_TYPES | {"numeric", "real", "double precision"}

# Signs that nobody tells from each other: blanks that break lines and those that do not, two apostrophes.
_ALIKE = (" \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}", "'\N{RIGHT SINGLE QUOTATION MARK}")
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})


class NumberForm:
    """Reads numbers with stated signs; any other sign in them is refused, never guessed at.

    Groups between thousands have three digits, or, but for the last, two as in India. PostgreSQL's words for what
    is no finite number may stand as they are. ``is_whole``: the column has no decimals. ``is_typed``: bare values
    are numbers of the source's own, as JSON has them.
    """

    def __init__(self, decimal: str | None, thousands: str | None, *, is_whole: bool, is_typed: bool) -> None:
        if decimal is None and thousands == "." and not is_whole:
            raise OptionError(
                'option thousands is ".", the sign of decimals too unless option decimal names another'
            )
        decimal = decimal or ("," if thousands == "." else ".")
        if decimal in _like(thousands or ""):
            raise OptionError(f"options decimal and thousands must differ; both are {decimal!r}")
        self._is_typed = is_typed
        self._decimal = decimal
        self._pattern = _pattern(decimal, thousands)
        self._decimal = decimal
        self._signs = tuple(_like(thousands or ""))
        said = [] if is_whole else [f"decimal sign {decimal!r}"]
        said += [f"sign between thousands {thousands!r}"] if thousands else []
        example = f"1{thousands or ''}234" + ("" if is_whole else f"{decimal}5")
        self._wanted = ", ".join([*said, f"as in {example}"])

    def __call__(self, text: str, was_quoted: bool, /) -> str | None:
        """The number as PostgreSQL writes it."""
        if self._is_typed and not was_quoted:
            return None
        value = text.strip()
        if self._pattern.fullmatch(value) is None:
            if value.lstrip("+-").lower() in _NOT_FINITE:
                return None
            raise Unreadable(f"{shown(text)} is no number as the options have them written: {self._wanted}")
        plain = value
        for sign in self._signs:
            plain = plain.replace(sign, "")
        plain = plain.replace(self._decimal, ".")
        return None if plain == text else plain

    def written(self, number: str) -> str:
        """A number of JSON as it stands in a file that is written in this form."""
        return number.replace(".", self._decimal)


def _like(sign: str) -> str:
    return next((signs for signs in _ALIKE if sign and sign in signs), sign)


def _pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    """What a whole number looks like; each place in a text can be matched in one way only, so it is linear."""
    point = re.escape(decimal)
    whole = "[0-9]+"
    if thousands is not None:
        sign = f"[{re.escape(_like(thousands))}]"
        whole = f"(?:[0-9]{{1,3}}(?:{sign}[0-9]{{3}})+|[0-9]{{1,2}}(?:{sign}[0-9]{{2}})+{sign}[0-9]{{3}}|[0-9]+)"
    return re.compile(rf"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")
