"""A real HTTP server on loopback that gives ranges of files, and that misbehaves when a test tells it to.

Each request takes the next fault of ``faults``, then is served properly once there is none left.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

LAST_MODIFIED = 1_700_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one request.

    ``status`` answers with it instead of the file; ``drop_after`` closes the connection after so many bytes of the
    body, ``stall_after`` sends no more after them; ``says_length`` is what Content-Length claims.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    stall_after: int | None = None
    says_length: int | None = None
    trickles_header: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]


class FileServer(ThreadingHTTPServer):
    """Files by their unquoted paths."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.seen: list[Seen] = []
        self.etag: str | None = '"one"'
        self.has_ranges = True
        self.stalled = threading.Event()
        self.released = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        server = self.server
        server.seen.append(Seen(self.command, self.path, dict(self.headers)))
        fault = server.faults.popleft() if server.faults else server.always or Fault()
        path = unquote(urlsplit(self.path).path)
        if fault.trickles_header:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not server.released.wait(0.02):
                self.wfile.write(b"X: y\r\n"[:1])
        elif fault.status is not None:
            self._head(fault.status, {"Content-Length": "0", **fault.headers})
        elif path in server.redirects:
            self._head(302, {"Content-Length": "0", "Location": server.redirects[path]})
        elif path not in server.files:
            self._head(404, {"Content-Length": "0"})
        elif (wanted := self.headers.get("If-Match")) is not None and wanted != server.etag:
            self._head(412, {"Content-Length": "0"})
        else:
            self._file(server.files[path], fault)

    def _file(self, content: bytes, fault: Fault) -> None:
        status, body = 200, content
        headers = {"Last-Modified": formatdate(LAST_MODIFIED, usegmt=True), **fault.headers}
        if self.server.etag is not None:
            headers["ETag"] = self.server.etag
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)?", self.headers.get("Range", ""))
        if asked and self.server.has_ranges:
            first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            if first >= len(content):
                self._head(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(content)}"})
                return
            status, body = 206, content[first : last + 1]
            headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}", **headers}
        length = len(body) if fault.says_length is None else fault.says_length
        self._head(status, {"Content-Length": str(length), **headers})
        if self.command == "HEAD":
            return
        ends = [each for each in (fault.drop_after, fault.stall_after) if each is not None]
        self.wfile.write(body[: ends[0]] if ends else body)
        self.wfile.flush()
        if fault.stall_after is not None:
            self.server.stalled.set()
            self.server.released.wait()
        if ends or fault.says_length is not None:
            self.close_connection = True

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named so by its base
        """Nothing: the test asks ``seen``."""


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """A server on a port of its own, which is closed afterwards."""
    server = FileServer()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
