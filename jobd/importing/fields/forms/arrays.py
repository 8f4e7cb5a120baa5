"""Arrays: JSON's form of them beside PostgreSQL's own, of which the two can always be told apart."""

from __future__ import annotations

import re

import msgspec

from jobd.importing.fields.forms.form import Unreadable, shown

JSON_TYPES = frozenset({"json", "jsonb"})
DIMENSIONS_MAX = 6  # PostgreSQL's

# What PostgreSQL's own form may have in front: the bounds of each dimension, as in [0:1]={a,b}.
_BOUNDS = re.compile(r"\s*(?:\[\s*[+-]?[0-9]+\s*(?::\s*[+-]?[0-9]+\s*)?\]\s*)+=")
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


class ArrayForm:
    """Reads ``["a", null]`` as ``{"a",NULL}``; PostgreSQL's form stays as it is.

    Arrays in arrays are dimensions, except where the elements are JSON themselves. Numbers stay as they are
    written, and an object is its own JSON text.
    """

    def __init__(self, element_type: str) -> None:
        self._is_json = element_type in JSON_TYPES
        self._comma = ";" if element_type == "box" else ","

    def __call__(self, text: str, _was_quoted: bool, /) -> str | None:
        """The array as PostgreSQL writes it."""
        if not text.lstrip().startswith("[") or _BOUNDS.match(text):
            return None
        try:
            return self._array(text.encode(), 1)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            raise Unreadable(f"{shown(text)} is no array, neither of JSON nor of PostgreSQL: {error}") from error

    def _array(self, text: bytes | msgspec.Raw, depth: int) -> str:
        if depth > DIMENSIONS_MAX:
            raise Unreadable(f"has arrays in each other, more than the {DIMENSIONS_MAX} that a column can hold")
        return "{" + self._comma.join([self._element(bytes(each), depth) for each in _LIST.decode(text)]) + "}"

    def _element(self, raw: bytes, depth: int) -> str:
        if raw == b"null":
            return "NULL"
        first = raw[:1]
        if first == b"[" and not self._is_json:
            return self._array(raw, depth + 1)
        if first == b'"' and not self._is_json:
            text = _STRING.decode(raw)
            if "\0" in text:
                raise Unreadable(r"holds the character \u0000, which PostgreSQL cannot store")
            return _quoted(text)
        return _quoted(raw.decode()) if first in b'{["' else raw.decode()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
