"""What a drill found, as values: to be printed, or given to programs."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.drill.fault import Fault, Recovery

PROBLEMS_MAX = 10


class Check(NamedTuple):
    """One thing that must hold: what was looked at, and what is not as it must be."""

    claim: str
    looked_at: str
    problems: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return not self.problems


class Sum(NamedTuple):
    """The records of one kind of files."""

    kind: str
    jobs: int
    files: int
    records: int
    added: int
    updated: int
    unchanged: int
    refused: int
    not_read: int

    @property
    def adds_up(self) -> bool:
        """Whether every record is accounted for."""
        return self.records == self.added + self.updated + self.unchanged + self.refused + self.not_read

    def plus(self, other: Sum) -> Sum:
        """Both together."""
        return Sum(self.kind, *map(operator.add, self[1:], other[1:]))


@dataclass(frozen=True)
class Report:
    """The proof."""

    seed: int
    seconds: float
    daemons: int
    jobs: int
    cancelled: int
    batches: int
    bundles: int
    claims: int
    beliefs: int
    sums: Sequence[Sum]
    checks: Sequence[Check]
    recoveries: Sequence[Recovery]
    faults: Sequence[Fault]

    @property
    def holds(self) -> bool:
        """Whether everything does."""
        return all(check.holds for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            **asdict(self),
            "holds": self.holds,
            "sums": [each._asdict() for each in self.sums],
            "checks": [{**each._asdict(), "holds": each.holds} for each in self.checks],
            "recoveries": [each._asdict() for each in self.recoveries],
        }
