"""Patience for tests of remote sources: enough for a busy machine, or none where nothing is to come of it."""

from __future__ import annotations

from dataclasses import replace

from jobd.sources.places.patience import Patience

IMPATIENT = Patience(
    connect_seconds=2, idle_seconds=0.4, total_seconds=5, first_wait_seconds=0.01, longest_wait_seconds=0.05
)
HASTY = replace(IMPATIENT, idle_seconds=0.1, total_seconds=0.3)
