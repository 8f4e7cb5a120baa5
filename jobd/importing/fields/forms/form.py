"""What a form is."""

from __future__ import annotations

from typing import Protocol

SHOWN_CHARACTERS_MAX = 80


class Unreadable(ValueError):
    """A value is not written in the form; the message is for people and names the value."""


class Form(Protocol):
    """Reads a value as it is written in the file. It knows nothing of nulls, which never come to it."""

    def __call__(self, text: str, was_quoted: bool, /) -> str | None:
        """The text that PostgreSQL is to read; None: the value can stay as it is. Raises Unreadable."""
        ...


def shown(text: str) -> str:
    """A value for a message."""
    return f'"{text if len(text) <= SHOWN_CHARACTERS_MAX else text[: SHOWN_CHARACTERS_MAX - 1] + "…"}"'


def trimmed(text: str, _was_quoted: bool, /) -> str | None:
    """A form: without the blanks of Unicode around it."""
    bare = text.strip()
    return None if bare == text else bare
