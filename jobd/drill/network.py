"""A network between daemons and their server that can be made to fail.

It is a TCP proxy on loopback, in the event loop of whoever makes it. What it holds back it keeps, and lets go on
later, as a network does whose packets are sent again: what a worker sent before its host was lost may arrive after
all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio

from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST = "127.0.0.1"
SERVER_PORT = 5432
READ_BYTES = 64 << 10
# What is under way in one direction at most; whoever sends more has to wait, as on any network.
READS_UNDER_WAY_MAX = 64
REMEMBERED_BYTES = 64
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way(Enum):
    """A direction."""

    TO_SERVER = "to the server"
    TO_DAEMON = "to the daemon"


class ServerAddress(NamedTuple):
    """Where a server listens: a host and port, or the path of a socket."""

    host: str
    port: int

    @property
    def socket_path(self) -> str | None:
        """The file of a server that is reached by one."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None


def server_address(url: str) -> ServerAddress:
    """Where a connection URL leads to; a proxy needs one place."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    place = parts.netloc.rpartition("@")[2]
    host, port = options.get("host"), options.get("port")
    if "," in place or "," in (host or ""):
        raise ConfigurationError("the database's URL names several hosts, and a proxy can lead to one only")
    return ServerAddress(host or parts.hostname or "localhost", int(port or parts.port or SERVER_PORT))


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, daemon: socket.socket, server: socket.socket) -> None:
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
            for at, act in self._proxy.acts_on(way, before, data):
                await _send(sink, data[sent:at])
                sent = at
                act(self)
                await anyio.lowlevel.checkpoint()  # where a link that was cut ends
                await self._proxy.flows[way].wait()
            await _send(sink, data[sent:])
            before = (before + data)[-REMEMBERED_BYTES:]
        self._scope.cancel()  # one side has left, and the other has had all that came before


class Proxy:
    """Connections to it lead to the server, as long as nothing is wrong with the network."""

    def __init__(self, server: ServerAddress) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[Link] = set()
        self._resets = 0
        # Keeps the port while nobody listens there: two sockets may have it, as one of them never listens.
        self._keeper = _bound(0)
        self.port: int = self._keeper.getsockname()[1]
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
        options = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"host", "port"}]
        return urlunsplit(parts._replace(netloc=f"{login}@{HOST}:{self.port}", query=urlencode(options)))

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
        """Cut all connections there are, those that are only being made included; new ones can be made."""
        self._resets += 1
        for link in list(self._links):
            link.reset()

    def half_open(self) -> None:
        """Cut all connections for the daemon only."""
        for link in list(self._links):
            link.half_open()

    # --- for the links

    def acts_on(
        self,
        way: Way,  # noqa: ARG002  there for those who override this, as are the others
        before: bytes,  # noqa: ARG002
        data: bytes,  # noqa: ARG002
    ) -> Sequence[tuple[int, Callable[[Link], None]]]:
        """What is to be done to the link while these bytes pass, each with its place in them, in order."""
        return ()

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
        resets = self._resets
        with daemon:
            _prepare(daemon)
            try:
                server = await _connected(self._server)
            except OSError:
                _reset(daemon)
                return
            with server:
                if resets != self._resets:
                    _reset(daemon, server)
                    return
                link = Link(self, daemon, server)
                self._links.add(link)
                try:
                    await link.run()
                finally:
                    self._links.discard(link)


async def _connected(address: ServerAddress) -> socket.socket:
    """A connection to the server, at the first of its addresses that answers."""
    loop = asyncio.get_running_loop()
    places: list[tuple[int, Any]] = [(socket.AF_UNIX, address.socket_path)]
    if address.socket_path is None:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        places = [(family, place) for family, _, _, _, place in found]
    problem = OSError("no address")
    for family, place in places:
        server = socket.socket(family)
        try:
            _prepare(server)
            await loop.sock_connect(server, place)
        except OSError as refused:
            problem = refused
            server.close()
        except BaseException:
            server.close()
            raise
        else:
            return server
    raise problem


def _prepare(one: socket.socket) -> None:
    one.setblocking(False)
    if one.family != socket.AF_UNIX:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


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
