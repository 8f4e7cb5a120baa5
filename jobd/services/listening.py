"""The sockets that metrics and health are served on; a restarted daemon goes on with those of the process before.

The service manager keeps them while the service restarts, so that whoever asks meanwhile waits for an answer
instead of being refused. When the service is stopped it lets go of them.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from jobd import log
from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jobd.systemd import ServiceManager

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_log = log.get("health")


class Listening:
    """Opens them, or takes them over where they are at the address that the settings name."""

    def __init__(self, service_manager: ServiceManager, inherited: Sequence[int] = ()) -> None:
        self._service_manager = service_manager
        self._inherited = [socket.socket(fileno=descriptor) for descriptor in inherited]
        for each in self._inherited:
            each.set_inheritable(False)
            each.setblocking(False)

    async def serve(self, serve: Serve, address: str, limit: int) -> list[asyncio.Server]:
        """Begin to accept there."""
        host, _, port = address.rpartition(":")
        try:
            inherited = await self._take_over(host.strip("[]"), int(port))
            if inherited:
                return [await asyncio.start_server(serve, sock=each, limit=limit) for each in inherited]
            server = await asyncio.start_server(
                serve, host.strip("[]"), int(port), limit=limit, reuse_address=True
            )
        except OSError as error:
            reason = error.strerror
            raise ConfigurationError(f"JOBD_METRICS_LISTEN: cannot listen on {address}: {reason}") from None
        for each in server.sockets:
            self._service_manager.keep(each.fileno())
        return [server]

    async def _take_over(self, host: str, port: int) -> list[socket.socket]:
        """Those of the process before, unless the setting has changed since."""
        inherited, self._inherited = self._inherited, []
        if not inherited:
            return []
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        wanted = {(family, *address[:2]) for family, _, _, _, address in found}
        if all((each.family, *_place(each, port)) in wanted for each in inherited):
            _log.info("metrics and health go on where the process before served them")
            return inherited
        self._service_manager.let_go()
        for each in inherited:
            each.close()
        return []


def _place(listening: socket.socket, wanted_port: int) -> tuple[str, int]:
    """Where it listens; where any port will do, its own counts as that."""
    host, port = listening.getsockname()[:2]
    return host, port if wanted_port else 0
