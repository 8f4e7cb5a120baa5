"""Arrays: JSON's form of them beside PostgreSQL's own, of which the two can always be told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from jobd.importing.fields.forms.form import Unreadable, shown

if TYPE_CHECKING:
    from jobd.importing.fields.forms.form import Form

JSON_TYPES = frozenset({"json", "jsonb"})
DIMENSIONS_MAX = 6  # PostgreSQL's

# What PostgreSQL's own form may have in front: the bounds of each dimension, as in [0:1]={a,b}.
_BOUNDS = re.compile(r"\s*(?:\[\s*[+-]?[0-9]+\s*(?::\s*[+-]?[0-9]+\s*)?\]\s*)+=")
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
# Of PostgreSQL's own form: elements in quotes and without, and what stands between them.
_PIECES = re.compile(
    r'\s*(?:(?P<element>"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^{},"\\]|\\.)+))|[{},])\s*', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class ArrayForm:
    """Reads ``["a", null]`` as ``{"a",NULL}``; PostgreSQL's form stays as it is, but for its elements.

    Arrays in arrays are dimensions, except where the elements are JSON themselves. Numbers stay as they are
    written, and an object is its own JSON text. ``form``: that of the elements.
    """

    def __init__(self, element_type: str, form: Form | None = None) -> None:
        self._form = form
        self._is_json = element_type in JSON_TYPES
        self._comma = ";" if element_type == "box" else ","

    def __call__(self, text: str, _was_quoted: bool, /) -> str | None:
        """The array as PostgreSQL writes it."""
        bounds = _BOUNDS.match(text)
        if bounds or not text.lstrip().startswith("["):
            return self._with_elements(text, bounds.end() if bounds else 0)
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
            written = None if self._form is None else self._form(text, True)
            return _quoted(text if written is None else written)
        text = raw.decode()
        if first in b'{["':
            return _quoted(text)
        written = None if self._form is None else self._form(text, False)
        return text if written is None else _quoted(written)

    def _with_elements(self, text: str, start: int) -> str | None:
        """PostgreSQL's form with its elements read; None: it can stay, or is none, as the server will say."""
        if self._form is None or not text[start:].lstrip().startswith("{"):
            return None
        pieces, kept_from, position = [], 0, start
        while found := _PIECES.match(text, position):
            position = found.end()
            quoted, bare = found.group("quoted", "bare")
            if quoted is None and (bare is None or bare.strip().upper() == "NULL"):
                continue
            written = self._form(_ESCAPED.sub(r"\1", bare.rstrip() if quoted is None else quoted), True)
            if written is not None:
                pieces += [text[kept_from : found.start("element")], _quoted(written)]
                kept_from = found.end("element")
        return "".join([*pieces, text[kept_from:]]) if pieces and position == len(text) else None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
