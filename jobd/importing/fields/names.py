"""How names of columns are compared, found and shown."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

from jobd.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.target import Target, TargetColumn


def normal(name: str) -> str:
    """The form in which names are compared: Unicode NFC, no surrounding blanks, case folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().casefold())


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first forty of them."""
    shown = ", ".join(repr(name) for name in names[:40])
    return shown if len(names) <= 40 else f"{shown} … ({len(names)} in all)"


class TargetNames:
    """The target's columns, found by exact name first, then by its normal form."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._exact = {column.name: column for column in target.columns}
        self._by_form: dict[str, list[TargetColumn]] = {}
        for column in target.columns:
            self._by_form.setdefault(normal(column.name), []).append(column)

    def find(self, name: str) -> TargetColumn | None:
        """The column that a name means."""
        if name in self._exact:
            return self._exact[name]
        alike = self._by_form.get(normal(name), [])
        if len(alike) > 1:
            names = " and ".join(column.name for column in alike)
            raise TargetError(
                f"{name!r} may mean {names} of {self._target.name}; say which with option columns",
                code="unknown_column",
            )
        return alike[0] if alike else None

    def find_exactly(self, name: str) -> TargetColumn | None:
        """The column of exactly this name."""
        return self._exact.get(name)

    def near(self, name: str) -> str:
        """A hint for a message: the columns with names like this one."""
        found = difflib.get_close_matches(normal(name), self._by_form, 3, 0.6)
        return f" (nearest: {', '.join(found)})" if found else ""
