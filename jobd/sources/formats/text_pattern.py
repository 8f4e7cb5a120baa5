r"""A pattern that a user wrote: a regular expression with named groups, each of which becomes a column.

RE2 runs it, whose time grows with the text's length only: no pattern and no text can make it hang. What is left of
cost, a large pattern times a long text, is bounded by :data:`PATTERN_PARTS_MAX` and by ``text_bytes_max``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from jobd.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    Spans = list[tuple[int, int]]

PATTERN_PARTS_MAX = 10_000  # instructions of the compiled pattern; a log line's has some hundreds
_COST_MAX = 2_000_000_000  # bytes times instructions for one record: about ten seconds at worst
_MEMORY_BYTES_MAX = 4 << 20
_TOKENS = re.compile(
    r"(?P<literal>\\Q.*?(?:\\E|\Z))"
    r"|(?P<newline>\\n|\n)"
    r"|\\."
    r"|(?P<set>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])"
    r"|\(\?P?<(?P<name>[^>]*)>"
    r"|\(\?(?P<flags>[imsU]*)(?:-[imsU]+)?[:)]",
    re.DOTALL,
)


class Pattern:
    """A compiled pattern; ``names`` are its named groups in order. Raises OptionError."""

    def __init__(self, text: str) -> None:
        engine = _engine()
        options = engine.Options()
        options.log_errors = False
        options.max_mem = _MEMORY_BYTES_MAX
        try:
            compiled = engine.compile(text, options)
        except UnicodeEncodeError as error:
            raise OptionError(f"pattern: character {error.start + 1} is no text") from error
        except engine.error as error:
            raise OptionError(_complaint(text, _decoded(error))) from error
        finally:
            engine.purge()  # its cache would keep a hundred patterns alive
        names = [found["name"] for found in _TOKENS.finditer(text) if found["name"] is not None]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise OptionError(f"pattern: the group name {twice!r} is given twice; each becomes a column")
        places = {name: index for name, index in compiled.groupindex.items() if name}
        if not places:
            raise OptionError(
                "pattern: has no named group; write (?P<column>…) around what a column is to receive"
            )
        if compiled.programsize > PATTERN_PARTS_MAX:
            raise OptionError(
                f"pattern: is too complicated: {compiled.programsize} steps, where {PATTERN_PARTS_MAX} are "
                "the most; repetitions like {100} and classes like \\p{L} take the room"
            )
        self.text = text
        self.names = sorted(places, key=places.__getitem__)
        self.text_bytes_max = _COST_MAX // compiled.programsize
        self._groups = [places[name] for name in self.names]
        # The public methods make objects that are thrown away at once, for three times the time.
        match = compiled._regexp.Match  # noqa: SLF001
        self._match = cast("Callable[[Any, bytes, int, int], Spans]", match)
        self._anywhere = engine._Anchor.UNANCHORED  # noqa: SLF001

    def values(self, record: bytes) -> list[bytes | None] | None:
        """What the groups matched in a record of UTF-8, None for one that took no part; None: no match."""
        spans = self._match(self._anywhere, record, 0, len(record))
        if spans[0][0] < 0:
            return None
        found: list[bytes | None] = []
        for group in self._groups:
            start, end = spans[group]
            found.append(record[start:end] if start >= 0 else None)
        return found


def spans_lines(text: str) -> str | None:
    """What in the pattern would have to see more than one line; None: nothing."""
    for found in _TOKENS.finditer(text):
        if found["newline"] is not None:
            return r"\n"
        if found["literal"] is not None and "\n" in found["literal"]:
            return "a line end"
        flags = found["flags"] or ""
        if "s" in flags or "m" in flags:
            return f"(?{flags})"
    return None


@cache
def _engine() -> Any:
    try:
        import re2  # noqa: PLC0415  an extra, and only few jobs need it
    except ModuleNotFoundError as error:
        raise OptionError(
            "option pattern needs google-re2, which is not installed here: install jobd[text]",
            code="option_unsupported",
        ) from error
    return re2


def _decoded(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _complaint(text: str, reason: str) -> str:
    """What is wrong, where, and what to write instead of what other engines know and RE2 does not."""
    what, _, fragment = reason.partition(": ")
    place = text.find(fragment) if fragment else -1
    where = f" at character {place + 1}" if place >= 0 and len(fragment) < len(text) else ""
    advice = ""
    if "perl operator" in what or re.fullmatch(r"\\\d", fragment):
        advice = "; RE2 has no look-around, no references to groups and no conditions"
    elif fragment == r"\Z":
        advice = r"; the end of the text is \z"
    return f"pattern: {reason}{where}{advice}"
