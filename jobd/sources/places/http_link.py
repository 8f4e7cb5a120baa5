"""One connection to an HTTP server, to an address that was checked, on which nothing waits without an end."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from typing import TYPE_CHECKING, cast

from jobd.errors import SourceError
from jobd.sources.places.addresses import resolved
from jobd.sources.places.patience import TryAgain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobd.sources.places.patience import Deadline
    from jobd.sources.places.uri import RemoteUri


class Link:
    """A connection to one origin.

    The standard library's client is used because its socket can be given to it: whatever resolves a name by
    itself, or follows redirects by itself, can be led to an address that nobody checked.
    """

    def __init__(self, uri: RemoteUri, private_allowed: Sequence[str], deadline: Deadline) -> None:
        self.origin = uri.origin
        self.deadline = deadline
        self._authority = uri.authority
        self._socket = _connected(uri, private_allowed, deadline)
        self._http = http.client.HTTPConnection(uri.host)
        self._http.auto_open = 0  # it would resolve the name again
        self._http.sock = cast("socket.socket", _Bounded(self._socket, self))
        self._answer: http.client.HTTPResponse | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether the last answer was read to its end, so that the connection can be used again."""
        return self._answer is not None and self._answer.isclosed() and self._http.sock is not None

    def ask(self, target: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Send a GET and read the head of its answer. Raises TryAgain."""
        try:
            self._http.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": self._authority, "Accept-Encoding": "identity", **headers}.items():
                self._http.putheader(name, value)
            self._http.endheaders()
            self._answer = self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise broken_off(error) from error
        return self._answer

    def close(self) -> None:
        """Break off whatever is being read, in any thread, and give the connection back."""
        with contextlib.suppress(OSError):  # the other side may have closed it already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._http.close()
        self._socket.close()


def broken_off(error: Exception) -> TryAgain:
    """What the client's error means."""
    if isinstance(error, TimeoutError):
        return TryAgain("it did not answer in time")
    return TryAgain(f"the connection broke off: {str(error) or type(error).__name__}")


class _Bounded:
    """A socket in which each wait ends with its link's deadline, in as far as the client uses one."""

    def __init__(self, sock: socket.socket, link: Link) -> None:
        self._sock = sock
        self._link = link

    def sendall(self, content: bytes) -> None:
        self._sock.settimeout(self._link.deadline.idle_seconds())
        self._sock.sendall(content)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._link), 1 << 17)

    def close(self) -> None:
        self._sock.close()


class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, link: Link) -> None:
        self._sock = sock
        self._link = link
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # what BufferedReader passes
        self._sock.settimeout(self._link.deadline.idle_seconds())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connected(uri: RemoteUri, private_allowed: Sequence[str], deadline: Deadline) -> socket.socket:
    port = cast("int", uri.port)
    last: OSError | None = None
    for address in resolved(uri.host, port, private_allowed):
        try:
            plain = socket.create_connection((address, port), deadline.connect_seconds())
        except OSError as error:
            last = error
            continue
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if uri.scheme == "http":
                return plain
            return ssl.create_default_context().wrap_socket(plain, server_hostname=uri.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise SourceError(
                f"{uri.origin} shows a certificate that is not trusted: {error.verify_message}."
                " Further authorities are read from the file that SSL_CERT_FILE names"
            ) from error
        except OSError as error:
            plain.close()
            last = error
        except BaseException:
            plain.close()
            raise
    raise TryAgain(
        f"no connection to {uri.authority}: {last.strerror or last if last else 'no address'}"
    ) from last
