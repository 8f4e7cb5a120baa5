"""What follows from JSON on one side only: strings of a JSON source in JSON columns, objects in composite ones."""

from __future__ import annotations

import msgspec
import orjson

from jobd.importing.fields.forms.form import Unreadable, shown

_ANYTHING = msgspec.json.Decoder(msgspec.Raw)


def json_string(text: str, was_quoted: bool, /) -> str | None:
    """A form: a string of a JSON source as JSON text again.

    Objects and arrays arrive as their own text, as strings do; a string that is such a text counts as one.
    """
    if not was_quoted or (text[:1] in {"{", "["} and _is_json(text)):
        return None
    return orjson.dumps(text).decode()


def _is_json(text: str) -> bool:
    try:
        _ANYTHING.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class CompositeForm:
    """Refuses JSON's objects where PostgreSQL's own form of a row is needed, in clearer words than its own."""

    def __init__(self, type_name: str) -> None:
        self._type_name = type_name

    def __call__(self, text: str, _was_quoted: bool, /) -> None:
        """Leaves everything else as it is."""
        if text.lstrip().startswith(("{", "[")):
            raise Unreadable(
                f"{shown(text)} is JSON, and the column is of the composite type {self._type_name}, whose values "
                "are written as (value, value, …)"
            )
