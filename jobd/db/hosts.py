"""Several hosts in one URL: which of them answers, also while another one swallows whatever is sent to it.

The driver tries them one after the other within one time-out: a host that is lost without a word would use it up,
and the one that took over would never be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio
from asyncpg.exceptions import TargetServerAttributeNotMatched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncpg import Connection

# After so long without an answer the next host is asked as well, where it is said which one is wanted.
STAGGER_SECONDS = 0.5
# With these it does not matter which host is asked first.
_SAY_WHICH = {"read-write", "read-only", "primary", "standby"}
_LET_THE_DRIVER = {"prefer-standby"}


def url_per_host(url: str) -> list[str]:
    """The URL once for each host that it names."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if query.get("target_session_attrs") in _LET_THE_DRIVER:
        return [url]
    login, at, netloc = parts.netloc.rpartition("@")
    if netloc:
        return [urlunsplit(parts._replace(netloc=f"{login}{at}{host}")) for host in netloc.split(",")]
    hosts = query.get("host", "").split(",")
    ports = query.get("port", "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(hosts) == 1 or len(ports) != len(hosts):
        return [url]
    return [
        urlunsplit(parts._replace(query=urlencode(query | {"host": host} | ({"port": port} if port else {}))))
        for host, port in zip(hosts, ports, strict=True)
    ]


class Hosts:
    """Connects to one of several hosts; the one that answered last is asked first.

    ``on_moved``: called when another host is the wanted one; what is connected to the former may wait in vain.
    """

    def __init__(self) -> None:
        self.on_moved: Callable[[], None] = lambda: None
        self._last: dict[tuple[str, ...], int] = {}

    async def connect(
        self, url: str, connect: Callable[[str], Awaitable[Connection]], timeout_seconds: float
    ) -> Connection:
        """A connection made by ``connect``, which is given a URL of one host and has a time-out of its own."""
        urls = url_per_host(url)
        if len(urls) == 1:
            return await connect(url)
        says_which = dict(parse_qsl(urlsplit(url).query)).get("target_session_attrs") in _SAY_WHICH
        stagger = STAGGER_SECONDS if says_which else timeout_seconds / len(urls)
        addresses = tuple(urlsplit(each).netloc.rpartition("@")[2] or urlsplit(each).query for each in urls)
        first = self._last.get(addresses, 0)
        order = [first, *(place for place in range(len(urls)) if place != first)]
        place, connection = await _first_of([urls[each] for each in order], connect, stagger)
        has_moved = says_which and place > 0 and addresses in self._last
        self._last[addresses] = order[place]
        if has_moved:
            self.on_moved()
        return connection


async def _first_of(
    urls: Sequence[str], connect: Callable[[str], Awaitable[Connection]], stagger: float
) -> tuple[int, Connection]:
    """The first that answers, and its place; each is asked once those before it failed or took so long."""
    failures: dict[int, Exception] = {}
    failed = [anyio.Event() for _ in urls]
    found: list[tuple[int, Connection]] = []

    async def ask(place: int) -> None:
        if place:
            with anyio.move_on_after(stagger * place):
                await failed[place - 1].wait()
        try:
            connection = await connect(urls[place])
        except Exception as error:  # noqa: BLE001  raised below, when no other host answers
            failures[place] = error
            failed[place].set()
            return
        found.append((place, connection))
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for place in range(len(urls)):
                group.start_soon(ask, place)
    except BaseException:
        for _, connection in found:
            connection.terminate()
        raise
    for _, surplus in found[1:]:
        surplus.terminate()
    if found:
        return found[0]
    # That a host is not the one that is wanted says less than why the others do not answer.
    raise min(failures.items(), key=lambda item: (_is_unwanted(item[1]), item[0]))[1]


def _is_unwanted(error: Exception) -> bool:
    return isinstance(error, TargetServerAttributeNotMatched)
