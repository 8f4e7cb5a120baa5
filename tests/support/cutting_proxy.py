"""A network between daemons and their server that fails in the way and at the moment that a test chooses.

It is a TCP proxy on loopback, in the test's own event loop. What it holds back it keeps, and lets go on later, as
a network does whose packets are sent again: what a worker sent before its host was lost may arrive after all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.database import Database

HOST = "127.0.0.1"
READ_BYTES = 64 << 10
# What is under way in one direction at most; whoever sends more has to wait, as on any network.
READS_UNDER_WAY_MAX = 64
PATTERN_BYTES_MAX = 64
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way(Enum):
    """A direction."""

    TO_SERVER = "to the server"
    TO_DAEMON = "to the daemon"


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


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: CuttingProxy, daemon: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._daemon = daemon
        self._server = server
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Carry everything until one side leaves or the link is cut."""
        with self._scope:
            async with anyio.create_task_group() as group:
                for way, source, sink in (
                    (Way.TO_SERVER, self._daemon, self._server),
                    (Way.TO_DAEMON, self._server, self._daemon),
                ):
                    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(READS_UNDER_WAY_MAX)
                    group.start_soon(self._take, source, under_way)
                    group.start_soon(self._bring, way, sink, under_way)

    def reset(self) -> None:
        """Cut it: both sides are told by an RST."""
        _reset(self._daemon, self._server)
        self._scope.cancel()

    def half_open(self) -> None:
        """Cut it for the daemon only: the server goes on believing in it."""
        self._proxy.left_open.append(self._server.dup())
        _reset(self._daemon)
        self._scope.cancel()

    async def _take(self, source: socket.socket, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            try:
                data = await loop.sock_recv(source, READ_BYTES)
            except OSError:
                data = b""
            await under_way.put((time.monotonic() + self._proxy.delay_seconds, data))

    async def _bring(self, way: Way, sink: socket.socket, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        before = b""
        data = b"-"
        while data:
            due_at, data = await under_way.get()
            await anyio.sleep(max(0.0, due_at - time.monotonic()))
            await self._proxy.flows[way].wait()
            sent = 0
            for passing, at in self._proxy.passing_now(way, before, data):
                await _send(sink, data[sent:at])
                sent = at
                passing.happen(self)
                await anyio.lowlevel.checkpoint()  # where a link that was cut ends
                await self._proxy.flows[way].wait()
            await _send(sink, data[sent:])
            before = (before + data)[-PATTERN_BYTES_MAX:]
        self._scope.cancel()  # one side has left, and the other has had all that came before


class CuttingProxy:
    """Connections to it lead to the server, as long as nothing is wrong with the network."""

    def __init__(self, database: Database) -> None:
        self._server_port = database.server.port
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[Link] = set()
        self._passings: list[Passing] = []
        # Keeps the port while nobody listens there: two sockets may have it, as one of them never listens.
        self._keeper = _bound(0)
        self.port: int = self._keeper.getsockname()[1]
        self.url = self.url_of(database.url)
        self.delay_seconds = 0.0
        self.flows = {way: asyncio.Event() for way in Way}
        self.left_open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.let_through()
        self.accept()

    def url_of(self, url: str) -> str:
        """A connection URL of the server's, led through the proxy."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@{HOST}:{self.port}"))

    # --- what can be wrong

    def hold(self, *ways: Way) -> None:
        """A black hole: nothing arrives any more, in these directions or in both; who connects is kept waiting."""
        for way in ways or Way:
            self.flows[way].clear()

    def let_through(self) -> None:
        """The hole is gone: what was held arrives."""
        for flow in self.flows.values():
            flow.set()

    def refuse(self) -> None:
        """Nobody listens any more: who connects is refused."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def accept(self) -> None:
        """Listen again."""
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen()
            asyncio.get_running_loop().add_reader(self._listener, self._welcome, self._listener)

    def reset(self) -> None:
        """Cut all connections there are; new ones can be made."""
        for link in list(self._links):
            link.reset()

    def when(
        self, way: Way, act: Callable[[Link], None], *, pattern: bytes = b"", after_bytes: int | None = None,
        every: int | None = None,
    ) -> Passing:  # fmt: skip
        """Do something to the connection on which the pattern, or the byte after so many, is about to pass."""
        passing = Passing(way, act, pattern, after_bytes, every)
        self._passings.append(passing)
        return passing

    # --- for the links

    def passing_now(self, way: Way, before: bytes, data: bytes) -> list[tuple[Passing, int]]:
        """What happens while these bytes pass, and where in them, in order."""
        found = [(passing, passing.find(before, data)) for passing in self._passings if passing.way is way]
        return sorted(((passing, at) for passing, at in found if at is not None), key=lambda pair: pair[1])

    async def close(self) -> None:
        """Leave nothing open."""
        self.refuse()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in (self._keeper, *self.left_open):
            one.close()

    def _welcome(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # who knocked may have left already
            task = asyncio.create_task(self._carry(listener.accept()[0]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, daemon: socket.socket) -> None:
        with daemon, socket.socket() as server:
            for one in (daemon, server):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.get_running_loop().sock_connect(server, (HOST, self._server_port))
            except OSError:
                _reset(daemon)
                return
            link = Link(self, daemon, server)
            self._links.add(link)
            try:
                await link.run()
            finally:
                self._links.discard(link)


@contextlib.asynccontextmanager
async def cutting_proxy(database: Database) -> AsyncIterator[CuttingProxy]:
    """A proxy to the database's server, gone with all its connections at the end."""
    proxy = CuttingProxy(database)
    try:
        yield proxy
    finally:
        await proxy.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


async def _send(sink: socket.socket, data: bytes) -> None:
    """What the receiver does not want any more is lost."""
    with contextlib.suppress(OSError):
        await asyncio.get_running_loop().sock_sendall(sink, data)


def _reset(*sockets: socket.socket) -> None:
    """Have them closed by an RST."""
    for one in sockets:
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
