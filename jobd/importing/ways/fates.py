"""What became of each record of a batch, by its number; every counter is counted from here."""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from jobd.model.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Fates: TypeAlias = NDArray[np.int8]


class Fate(IntEnum):
    """The four ways in which a record is taken, or that it is refused; unsettled until one of them is certain."""

    UNSETTLED = 0
    ADDED = 1
    UPDATED = 2
    UNCHANGED = 3
    SKIPPED = 4
    REFUSED = 5


def unsettled(records: int) -> Fates:
    """The fates of so many records, before anything was done."""
    return np.zeros(records, np.int8)


def tally_of(fates: Fates) -> Tally:
    """How many records have each fate."""
    counts = np.bincount(fates, minlength=len(Fate)).tolist()
    return Tally(*(counts[fate] for fate in Fate if fate is not Fate.UNSETTLED))


def tallies_of(fates: Fates, stops: Sequence[int]) -> list[Tally]:
    """The same for consecutive parts; ``stops[i]`` is the number behind part i's last record."""
    kinds = len(Fate)
    lengths = [stop - start for start, stop in pairwise((0, *stops))]
    parts = np.repeat(np.arange(len(stops)), lengths)
    counts = np.bincount(parts * kinds + fates, minlength=len(stops) * kinds).reshape(len(stops), kinds)
    return [Tally(*part) for part in counts[:, Fate.ADDED :].tolist()]
