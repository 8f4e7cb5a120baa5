"""Where JSON text stops being JSON, so that nothing behind that place can be told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from jobd.errors import SourceError
from jobd.sources.formats.window import Window

if TYPE_CHECKING:
    from jobd.sources.stream import Stream

_COLUMN_BYTES = 1 << 16  # a line's beginning is looked for so far back
_FOUND_CHARACTERS = 20
_DECODER = msgspec.json.Decoder(msgspec.Raw)


class Fault(Exception):
    """At this position of the stream, on this line, what stands there is not what may stand there."""

    def __init__(self, position: int, line: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.line = line
        self.reason = reason


def source_error(fault: Fault, name: str, stream: Stream) -> SourceError:
    """The sentence for people: line and column, what was expected, and what stands there."""
    start = max(0, fault.position - _COLUMN_BYTES)
    text = Window(stream, start).look(fault.position - start + 4 * _FOUND_CHARACTERS)
    before, behind = text[: fault.position - start], text[fault.position - start :]
    last_line = before.rfind(b"\n") + 1
    place = f"line {fault.line}"
    if last_line or not start:
        place += f", column {len(before[last_line:].decode('utf-8', 'replace').lstrip(chr(0xFEFF))) + 1}"
    found = behind.decode("utf-8", "replace").split("\n", 1)[0][:_FOUND_CHARACTERS]
    what = f"there stands {found!r}" if behind else "there the source ends"
    return SourceError(
        f"{name} is malformed JSON at {place} (byte {fault.position}): {fault.reason}; {what}. "
        "What came before is kept. Mend the source there and submit a new job",
        code="source_malformed",
    )


def inside(text: bytes) -> tuple[int, str] | None:
    """Where in a value that does not end the fault lies, and what is wrong; None when it is merely cut off."""
    try:
        _DECODER.decode(text)
    except msgspec.DecodeError as error:
        found = re.fullmatch(r"JSON is malformed: (.*) \(byte (\d+)\)", str(error))
        return (int(found[2]), found[1]) if found else None
    except RecursionError:
        return None
    return None
