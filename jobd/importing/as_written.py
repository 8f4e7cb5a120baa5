"""The values of a refused record of CSV as they stand in it, where no other way of writing them is meant.

Where much of a file is refused, taking each value apart and writing it anew would cost more than all else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.sources.copy_dialect import CopyDialect

# Quotes and line ends are to be looked at closely, tabs may be blanks that are cut, the others are no text.
_SPECIAL = '"\r\n\t\0\N{REPLACEMENT CHARACTER}'


class AsWritten:
    """Divides records of one dialect in which ``"`` quotes, and is doubled to stand for itself."""

    def __init__(self, dialect: CopyDialect) -> None:
        delimiter = dialect.delimiter
        self._delimiter = delimiter
        self._is_known = dialect.codec == "utf-8" and dialect.quote == '"' == dialect.escape
        special = "".join(re.escape(character) for character in _SPECIAL if character != delimiter)
        self._special = re.compile(f"[{special}]")
        bare = f"[^{special}{re.escape(delimiter)}]*+"
        quoted = '"[^"\\0\N{REPLACEMENT CHARACTER}]*+(?:""[^"\\0\N{REPLACEMENT CHARACTER}]*+)*+"'
        self._field = re.compile(rf"(?:\A|{re.escape(delimiter)})({quoted}|{bare})")

    def values(self, raw: bytes) -> Sequence[str] | None:
        """Each value, in its quotes where it has some; None where a value is to be looked at by itself."""
        if not self._is_known:
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return None
        if not self._special.search(text):
            return text.split(self._delimiter)
        found: list[str] = self._field.findall(text)
        # What the pattern passes over is missing then.
        return found if self._delimiter.join(found) == text else None
