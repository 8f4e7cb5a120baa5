"""One thing to be read: a file's name and bytes, and what a job says of it. It can be kept and read again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobd.sources import Limits
from jobd.sources.packing.codec import CODECS

FAILED = Path(__file__).parents[2] / ".fuzz"


@dataclass(frozen=True, kw_only=True)
class Case:
    """``options`` are a job's; ``bounds`` replace some of the daemon's; ``takes_fields``: new ones are wanted."""

    name: str
    content: bytes
    source_type: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)
    takes_fields: bool = False

    @property
    def limits(self) -> Limits:
        """The bounds of reading."""
        return Limits(**{"workbook_bytes": 1 << 20, **self.bounds})

    @property
    def is_packed(self) -> bool:
        """Whether it may unpack to much."""
        return any(codec.begins(self.content[:8]) for codec in CODECS.values() if codec.magics)

    def save(self, where: Path) -> None:
        """Write it down for `python -m tests.fuzz.replay`."""
        where.mkdir(parents=True, exist_ok=True)
        (where / "content").write_bytes(self.content)
        told = {name: value for name, value in asdict(self).items() if name != "content"}
        (where / "case.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, where: Path) -> Case:
        """What was saved there."""
        told = json.loads((where / "case.json").read_text(encoding="utf-8"))
        return cls(content=(where / "content").read_bytes(), **told)
