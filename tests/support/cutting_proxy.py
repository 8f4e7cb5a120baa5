"""The drill's network, failing at the moment that a test chooses: when given bytes are about to pass."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobd.drill.network import Link, Proxy, Way, server_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.database import Database

__all__ = ["CuttingProxy", "Link", "Passing", "Way", "cutting_proxy"]


@dataclass
class Passing:
    """Something that passes in one direction: a pattern of bytes, or so many bytes, and what happens just before.

    It happens at the first passing, and with ``every`` again at each passing that many later.
    """

    way: Way
    act: Callable[[Link], None]
    pattern: bytes = b""
    after_bytes: int | None = None
    every: int | None = None
    acts: int = 0
    _seen: int = 0
    _first: asyncio.Event = field(default_factory=asyncio.Event)

    async def happened(self, within: float = 30.0) -> None:
        """Wait until it has happened once."""
        async with asyncio.timeout(within):
            await self._first.wait()

    def find(self, before: bytes, data: bytes) -> int | None:
        """Where in ``data`` it passes so that something is to happen; ``before`` is what went ahead of it."""
        if self.after_bytes is not None:
            at = self.after_bytes - self._seen
            self._seen += len(data)
            return at if 0 <= at < len(data) else None
        before = before[-len(self.pattern) + 1 :] if len(self.pattern) > 1 else b""
        at = (before + data).find(self.pattern)
        if at < 0:
            return None
        is_due = self._seen == 0 if self.every is None else self._seen % self.every == 0
        self._seen += 1
        return max(0, at - len(before)) if is_due else None

    def happen(self, link: Link) -> None:
        """Do it."""
        self.acts += 1
        self._first.set()
        self.act(link)


class CuttingProxy(Proxy):
    """Connections to it lead to the database's server, as long as nothing is wrong with the network."""

    def __init__(self, database: Database) -> None:
        super().__init__(server_address(database.url))
        self._passings: list[Passing] = []
        self.url = self.url_of(database.url)

    def when(
        self, way: Way, act: Callable[[Link], None], *, pattern: bytes = b"", after_bytes: int | None = None,
        every: int | None = None,
    ) -> Passing:  # fmt: skip
        """Do something to the connection on which the pattern, or the byte after so many, is about to pass."""
        passing = Passing(way, act, pattern, after_bytes, every)
        self._passings.append(passing)
        return passing

    def acts_on(self, way: Way, before: bytes, data: bytes) -> list[tuple[int, Callable[[Link], None]]]:
        """What happens while these bytes pass, each with its place in them, in order."""
        found = [(passing.find(before, data), passing) for passing in self._passings if passing.way is way]
        due = [(at, passing.happen) for at, passing in found if at is not None]
        return sorted(due, key=lambda pair: pair[0])


@contextlib.asynccontextmanager
async def cutting_proxy(database: Database) -> AsyncIterator[CuttingProxy]:
    """A proxy to the database's server, gone with all its connections at the end."""
    proxy = CuttingProxy(database)
    try:
        yield proxy
    finally:
        await proxy.close()
