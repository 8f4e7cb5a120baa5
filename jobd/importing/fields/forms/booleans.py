"""Words for true and false."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from jobd.errors import OptionError
from jobd.importing.fields.forms.form import Unreadable, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

BOOLEAN_TYPE = "boolean"
OWN_TRUE = ("true", "tru", "tr", "t", "yes", "ye", "y", "on", "1")
OWN_FALSE = ("false", "fals", "fal", "fa", "f", "no", "n", "off", "of", "0")


class BooleanForm:
    """Reads the words of two lists, whatever their case; PostgreSQL's own where a list is not stated.

    ``is_typed``: bare true and false are the source's own, as JSON has them.
    """

    def __init__(
        self, true_values: tuple[str, ...] | None, false_values: tuple[str, ...] | None, *, is_typed: bool
    ) -> None:
        true, false = _folded(true_values or ()), _folded(false_values or ())
        both = true & false
        if both:
            raise OptionError(f"options true_values and false_values both name {', '.join(sorted(both))}")
        if true_values is None:
            true = _folded(OWN_TRUE) - false
        if false_values is None:
            false = _folded(OWN_FALSE) - true
        self._words = {**dict.fromkeys(true, "true"), **dict.fromkeys(false, "false")}
        self._is_typed = is_typed
        self._wanted = f"true is {_listed(true_values or OWN_TRUE)}; false is {_listed(false_values or OWN_FALSE)}"

    def __call__(self, text: str, was_quoted: bool, /) -> str | None:
        """``true`` or ``false``."""
        if self._is_typed and not was_quoted and text in {"true", "false"}:
            return None
        word = self._words.get(_fold(text))
        if word is None:
            raise Unreadable(f"{shown(text)} is none of the words for true and false: {self._wanted}")
        return word

    def written(self, value: str) -> str:
        """JSON's true or false as it stands in a file that is written in this form; anything else as it is."""
        if self._words.get(value) == value:
            return value
        return min((word for word, meaning in self._words.items() if meaning == value), default=value)


def _fold(word: str) -> str:
    return unicodedata.normalize("NFC", word.strip()).casefold()


def _folded(words: Iterable[str]) -> set[str]:
    return {_fold(word) for word in words}


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words[:10]) + (", …" if len(words) > 10 else "")
