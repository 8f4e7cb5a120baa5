"""The exact position to continue from, and how to know that it still belongs to this source."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Everything before ``byte`` is committed; ``row`` records of the file are behind it.

    ``byte`` counts decompressed (and, for encodings that PostgreSQL cannot read, transcoded) bytes. The source's
    size and the hash of the last bytes consumed, ``byte - block_bytes`` up to ``byte``, say whether the source is
    still the same one; an equal modification time beside an equal size may spare the hash.

    ``file`` is the file's place in the job's list, from 1; files before it are done. ``late_fields`` are the
    fields that records of the source had beyond those it began with, in the order of their first appearance.
    """

    file: int = 1
    byte: int = 0
    row: int = 0
    line: int = 1
    size: int = 0
    modified_ns: int = 0
    block_bytes: int = 0
    block_hash: str = ""
    late_fields: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form that the job row keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`; keys that others keep beside the position are passed over."""
        known = {name: value[name] for name in _NAMES if name in value}
        return cls(**{**known, "late_fields": tuple(known.get("late_fields", ()))})

    def is_behind(self, other: Cursor) -> bool:
        """Whether ``other`` has come further; a cursor only ever advances."""
        return (self.file, self.byte, self.row) < (other.file, other.byte, other.row)


_NAMES = tuple(field.name for field in fields(Cursor))
