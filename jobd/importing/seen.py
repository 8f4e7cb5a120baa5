"""The keys of records that a validation has seen, with a digest of each record: in bulk, sixteen bytes a key.

A validation keeps no rows, so that the target cannot tell a key that an earlier batch had; this can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Digests = NDArray[np.uint64]

KEYS_MAX = 4_000_000
_RUNS_MAX = 8


class Seen:
    """Digests of keys, each with that of the last record that had it. Beyond ``KEYS_MAX`` no key is added."""

    def __init__(self) -> None:
        self._runs: list[tuple[Digests, Digests]] = []  # keys ascending; later runs overrule earlier ones
        self.is_full = False

    def __len__(self) -> int:
        """Keys held; one that was seen again may count twice until its runs are merged."""
        return sum(len(keys) for keys, _ in self._runs)

    def find(self, keys: Digests) -> dict[int, int]:
        """The places of those of the keys that were seen, each with its record's digest."""
        found: dict[int, int] = {}
        for known, records in self._runs:
            places = np.searchsorted(known, keys)
            places[places == len(known)] = 0
            hits = np.flatnonzero(known[places] == keys)
            found |= dict(zip(hits.tolist(), records[places[hits]].tolist(), strict=True))
        return found

    def add(self, last: Mapping[int, int]) -> None:
        """Remember records by the digests of their keys."""
        if not last:
            return
        before = list(self._runs)
        keys = np.fromiter(last.keys(), np.uint64, len(last))
        records = np.fromiter(last.values(), np.uint64, len(last))
        order = np.argsort(keys)
        self._runs.append((keys[order], records[order]))
        if len(self._runs) > _RUNS_MAX or len(self) > KEYS_MAX:
            self._merge()
        if len(self) > KEYS_MAX:
            self._runs, self.is_full = before, True

    def _merge(self) -> None:
        # Of equal keys the one of the latest run comes first, and is the one that stays.
        keys = np.concatenate([run[0] for run in reversed(self._runs)])
        records = np.concatenate([run[1] for run in reversed(self._runs)])
        unique, first = np.unique(keys, return_index=True)
        self._runs = [(unique, records[first])]
