"""The named statements of ``sql/queries``: reads, and calls of jobd's functions; and those of the drill.

A file holds statements one below the other, each after a line ``-- name: its_name`` and a sentence on what it is
for. The comments go to the server too, so that its statistics say which statement is which.
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from jobd.db.schema_text import directory
from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)


def query(name: str, folder: str = "queries") -> str:
    """Give the text of a statement."""
    try:
        return load(folder)[name]
    except KeyError:
        raise ConfigurationError(f"sql/{folder} has no statement named {name!r}") from None


@cache
def load(folder: str = "queries") -> Mapping[str, str]:
    """Read all statements by name."""
    statements: dict[str, str] = {}
    for path in sorted((directory() / folder).glob("*.sql")):
        # What stands before the first name describes the file.
        _, *named = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(named[::2], named[1::2], strict=True):
            if name in statements:
                raise ConfigurationError(f"sql/{folder}/{path.name}: the name {name!r} is taken already")
            statements[name] = f"-- {name}\n{text.strip()}"
    return MappingProxyType(statements)
