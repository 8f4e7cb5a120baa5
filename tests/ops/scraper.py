"""Looks at every daemon's metrics all the time, and keeps when it was answered with what."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.daemons import get

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PERIOD_SECONDS = 0.1
# As long as Prometheus waits, unless it is told otherwise.
SCRAPE_SECONDS_MAX = 10
ENDED = re.compile(r'^jobd_job_attempts_total\{[^}]*outcome="completed"[^}]*\} (\S+)$', re.MULTILINE)
STARTED = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """One scrape: when it was asked, and what the process that answered had counted; None: nobody answered."""

    asked_at: float
    process_started_at: float | None = None
    jobs_ended: float = 0.0


@dataclass
class Scraper:
    """The answers of each instance."""

    ports: Mapping[str, int]
    answers: dict[str, list[Answer]] = field(default_factory=dict)

    async def watch(self, name: str) -> None:
        """Ask one instance, for ever."""
        answers = self.answers.setdefault(name, [])
        while True:
            asked_at = time.time()
            try:
                _, text = await get(self.ports[name], "/metrics", SCRAPE_SECONDS_MAX)
            except OSError:
                answers.append(Answer(asked_at))
            else:
                started = STARTED.search(text)
                ended = sum(float(value) for value in ENDED.findall(text))
                answers.append(Answer(asked_at, float(started[1]) if started else None, ended))
            await asyncio.sleep(PERIOD_SECONDS)

    def longest_gap_seconds(self, name: str) -> float:
        """The longest time between two answers."""
        times = [answer.asked_at for answer in self.answers[name] if answer.process_started_at is not None]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def unanswered(self, name: str) -> list[float]:
        """When nobody answered."""
        return [answer.asked_at for answer in self.answers[name] if answer.process_started_at is None]

    def last_answers(self, name: str) -> list[Answer]:
        """The last of each process."""
        answered = [answer for answer in self.answers[name] if answer.process_started_at is not None]
        last = {answer.process_started_at: answer for answer in answered}
        return list(last.values())


@contextlib.asynccontextmanager
async def scraper(ports: Mapping[str, int]) -> AsyncIterator[Scraper]:
    """Scrape these ports until this ends."""
    watching = Scraper(ports)
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(watching.watch(name)) for name in ports]
        yield watching
        for loop in loops:
            loop.cancel()
