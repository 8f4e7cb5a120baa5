"""Where in a document its records are: ``records_path``, and the way there through each document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.sources.formats.json_text import Text

_KEY_BYTES_MAX = 1 << 16
_KEYS_NAMED = 20
_INDEX_DIGITS = 10
_CLOSERS = {"{": b"}", "[": b"]"}


def parse_path(stated: str) -> tuple[tuple[str, ...], bool]:
    """The keys and indexes on the way, and whether the values of what is found there are the records.

    Dotted, or a JSON Pointer (RFC 6901); ``*`` as the last step: each value of an object is a record.
    """
    if not stated:
        return (), False
    if stated.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in stated[1:].split("/")]
    else:
        steps = stated.split(".")
        if not all(steps):
            raise OptionError(
                f"records_path: {stated!r} has an empty step; write data.items, or /data/items for keys with dots"
            )
    takes_values = steps[-1] == "*"
    return tuple(steps[:-1] if takes_values else steps), takes_values


class StepMissing(Exception):
    """A document lacks a step of the path; ``found`` names what there is instead."""

    def __init__(self, step: str, before: Sequence[str], found: str) -> None:
        super().__init__(step)
        where = f"under {'.'.join(before)}" if before else "at the top"
        self.reason = f"records_path: there is no {step!r} {where}, {found}"


@dataclass(slots=True)
class Way:
    """The path, and what each step is taken in: ``{`` an object, ``[`` an array; known once one was found."""

    steps: tuple[str, ...]
    kinds: str = ""

    def enter(self, text: Text) -> None:
        """Go to the value that the path leads to. Raises StepMissing or Fault."""
        kinds = ""
        for number, step in enumerate(self.steps):
            before = self.steps[:number]
            kind = text.next().decode("latin-1")
            if kind not in _CLOSERS:
                raise StepMissing(step, before, "but a value that is neither an object nor an array")
            text.take(kind.encode())
            (self._enter_object if kind == "{" else self._enter_array)(text, step, before)
            kinds += kind
        if self.kinds and kinds != self.kinds:
            raise text.fault(f"expected the path {'.'.join(self.steps)} to lead there as in the first document")
        self.kinds = kinds

    def _enter_object(self, text: Text, step: str, before: Sequence[str]) -> None:
        keys: list[str] = []
        if text.next() == b"}":
            raise StepMissing(step, before, "where the object is empty")
        while True:
            key = text.string(_KEY_BYTES_MAX)
            text.take(b":")
            if key == step:
                return
            keys.append(key)
            text.skip_value()
            if text.take(b",", b"}") == b"}":
                raise StepMissing(step, before, f"but {_listed(keys)}")
            if len(keys) > _KEYS_NAMED:
                keys[_KEYS_NAMED:] = ["…"]

    def _enter_array(self, text: Text, step: str, before: Sequence[str]) -> None:
        if not (step.isascii() and step.isdigit() and len(step) < _INDEX_DIGITS):
            raise StepMissing(step, before, "but an array, whose steps are numbers from 0")
        for index in range(int(step)):
            if text.next() == b"]":
                raise StepMissing(step, before, f"but an array of {index}")
            text.skip_value()
            if text.take(b",", b"]") == b"]":
                raise StepMissing(step, before, f"but an array of {index + 1}")
        if text.next() == b"]":
            raise StepMissing(step, before, "but an empty array")

    def leave(self, text: Text) -> None:
        """Go from behind that value to the document's end."""
        for kind in reversed(self.kinds):
            closer = _CLOSERS[kind]
            while text.take(b",", closer) != closer:
                if kind == "{":
                    text.string(_KEY_BYTES_MAX)
                    text.take(b":")
                text.skip_value()


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[: _KEYS_NAMED + 1])
