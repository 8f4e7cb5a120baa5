"""Metrics and health over HTTP: as little of it as three paths need. Never asks the database."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import anyio
import orjson

from jobd import log
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.metrics import Metrics
    from jobd.services.listening import Listening
    from jobd.services.loop import Pulse

REQUEST_SECONDS_MAX = 5.0
HEAD_BYTES_MAX = 16 * 1024

_log = log.get("health")


class Readiness(NamedTuple):
    """Whether the daemon can take work: why not, or what is less good than it should be."""

    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class HealthServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz``."""

    def __init__(
        self, metrics: Metrics, pulse: Pulse, readiness: Callable[[], Readiness], listening: Listening
    ) -> None:
        self._listening = listening
        self._answering = 0
        self._answered_one = Wakeup()
        self._metrics = metrics
        self._pulse = pulse
        self._readiness = readiness
        self.port: int | None = None

    async def run(self, address: str) -> None:
        """Serve until cancelled; port 0 picks a free one."""
        servers = await self._listening.serve(self._answer, address, HEAD_BYTES_MAX)
        self.port = servers[0].sockets[0].getsockname()[1]
        _log.info("metrics and health", host=address.rpartition(":")[0], port=self.port)
        try:
            await anyio.sleep_forever()
        finally:
            for server in servers:
                server.close()
            with anyio.move_on_after(REQUEST_SECONDS_MAX, shield=True):
                await self._answered()

    async def _answered(self) -> None:
        """Let those have their answer whom this process has accepted; the others wait for the next one."""
        await anyio.sleep(0.01)  # a connection is accepted before anybody reads from it
        while self._answering:
            await self._answered_one.wait(REQUEST_SECONDS_MAX)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answering += 1
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                status, content_type, body = self._page(*_request(head))
                writer.write(
                    f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            return  # who asked went away, or did not ask in HTTP
        finally:
            self._answering -= 1
            self._answered_one.set()
            writer.close()

    def _page(self, method: str, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        if method not in {"GET", "HEAD"}:
            return _json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET"})
        if path == "/metrics":
            body, content_type = self._metrics.exposition(accept)
            return HTTPStatus.OK, content_type, body
        if path == "/healthz":
            stalled = self._pulse.stalled()
            status = HTTPStatus.SERVICE_UNAVAILABLE if stalled else HTTPStatus.OK
            return _json(status, {"status": "stalled" if stalled else "ok", "loops": stalled})
        if path == "/readyz":
            reasons, degraded = self._readiness()
            if reasons:
                return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "reasons": reasons})
            return _json(HTTPStatus.OK, {"status": "degraded" if degraded else "ready", "reasons": degraded})
        return _json(HTTPStatus.NOT_FOUND, {"paths": ["/metrics", "/healthz", "/readyz"]})


def _request(head: list[str]) -> tuple[str, str, str]:
    method, path, _ = [*head[0].split(" "), "", "", ""][:3]
    headers = dict(line.lower().split(":", 1) for line in head[1:] if ":" in line)
    return method, path.partition("?")[0], headers.get("accept", "")


def _json(status: HTTPStatus, value: object) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", orjson.dumps(value) + b"\n"
