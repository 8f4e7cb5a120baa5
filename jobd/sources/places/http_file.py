"""A file on an HTTP server, read by parts; each redirect is checked like the first address."""

from __future__ import annotations

import base64
import contextlib
import netrc
import os
import re
import threading
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from jobd.errors import SourceChanged, SourceError
from jobd.sources.places.access import RemoteAccess, require_allowed
from jobd.sources.places.blocks import BLOCK_BYTES
from jobd.sources.places.http_link import Link, broken_off
from jobd.sources.places.patience import TryAgain
from jobd.sources.places.uri import RemoteUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from http.client import HTTPResponse

    from jobd.sources.places.patience import Deadline

_REDIRECTS_MAX = 5
_PIECE_BYTES = 1 << 17  # what is lost of a slow connection that breaks off
_WAIT_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What tells one state of a file from another, as far as its server says."""

    size_bytes: int | None
    etag: str | None
    modified: str | None

    def is_same(self, other: Version) -> bool:
        """Whether nothing says that they differ."""
        if None not in (self.size_bytes, other.size_bytes) and self.size_bytes != other.size_bytes:
            return False
        return self.etag == other.etag and (self.etag is not None or self.modified == other.modified)


class HttpPlace:
    """Answers to GET requests for one URI. Any thread may ask."""

    def __init__(self, uri: RemoteUri, access: RemoteAccess, prefixes: Sequence[str] | None) -> None:
        self._uri = uri
        self._access = access
        self._prefixes = prefixes
        self._idle: list[Link] = []
        self._used: set[Link] = set()
        self._mutex = threading.Lock()
        self._is_closed = False
        self.version = Version(size_bytes=None, etag=None, modified=None)

    @property
    def modified_ns(self) -> int:
        """When the file was last changed, 0 where unknown."""
        try:
            return int(parsedate_to_datetime(self.version.modified or "").timestamp()) * 1_000_000_000
        except ValueError:
            return 0

    def opened(self, deadline: Deadline) -> tuple[bytes, bool]:
        """The first block, and whether further parts can be had; sets ``version``. Raises TryAgain.

        It is a GET and no HEAD: a signed URL is signed for one of them, and the answer shows whether the server
        really gives parts.
        """
        with self._answer({"Range": f"bytes=0-{BLOCK_BYTES - 1}"}, deadline) as answer:
            if answer.status == 416:
                self.version = Version(size_bytes=0, etag=None, modified=None)
                return b"", True
            self.version = _version(answer)
            if answer.status != 206 or self.version.size_bytes is None or _first_byte(answer) != 0:
                return b"", False
            parts: list[bytes] = []
            for piece in _body(answer, min(BLOCK_BYTES, self.version.size_bytes)):
                parts.append(piece)
                deadline.gained(len(piece))
            return b"".join(parts), True

    def pieces(self, position: int, size: int, deadline: Deadline) -> Iterator[bytes]:
        """Bytes from a position on, at most ``size``, if the file is still the one that was opened."""
        headers = {"Range": f"bytes={position}-{position + size - 1}"}
        if self.version.etag and not self.version.etag.startswith("W/"):
            headers["If-Match"] = self.version.etag
        with self._answer(headers, deadline) as answer:
            if answer.status in {412, 416}:
                raise self._changed()
            if answer.status != 206:
                raise TryAgain("it gives no parts of the file any longer")
            if not _version(answer).is_same(self.version):
                raise self._changed()
            if _first_byte(answer) != position:
                raise SourceError(f"{self._uri.name}: the server gives other bytes than it is asked for")
            yield from _body(answer, size)

    def whole(self, deadline: Deadline) -> Iterator[bytes]:
        """All bytes from the start, of a server that gives no parts."""
        with self._answer({}, deadline) as answer:
            if answer.status != 200:
                raise TryAgain(f"it answers {answer.status}")
            self.version = _version(answer)
            yield from _body(answer, self.version.size_bytes)

    def close(self) -> None:
        """Close all connections, those in use too."""
        with self._mutex:
            self._is_closed = True
            links = [*self._idle, *self._used]
            self._idle.clear()
        for link in links:
            link.close()

    @contextlib.contextmanager
    def _answer(self, headers: dict[str, str], deadline: Deadline) -> Iterator[HTTPResponse]:
        """The answer behind all redirects, which are followed anew each time: where they lead may expire."""
        uri, came_from = self._uri, None
        for _ in range(_REDIRECTS_MAX + 1):
            require_allowed(uri, self._access, self._prefixes, came_from=came_from)
            with self._linked(uri, deadline) as link:
                answer = link.ask(uri.request_target, {**headers, **_credentials(uri)})
                if answer.status not in {301, 302, 303, 307, 308}:
                    _require_answer(answer, uri)
                    yield answer
                    return
                came_from, uri = uri, _redirected(uri, answer.headers["Location"])
                answer.read(0)
        raise SourceError(f"{self._uri.name} is redirected more than {_REDIRECTS_MAX} times")

    @contextlib.contextmanager
    def _linked(self, uri: RemoteUri, deadline: Deadline) -> Iterator[Link]:
        """A connection, which is kept for the next request where its answer was read to its end."""
        link = self._idle_link(uri.origin)
        if link is None:
            link = Link(uri, self._access.private_allowed, deadline)
        link.deadline = deadline
        with self._mutex:
            self._used.add(link)
        is_reusable = False
        try:
            yield link
            is_reusable = link.is_at_rest
        finally:
            with self._mutex:
                self._used.discard(link)
                if is_reusable and not self._is_closed:
                    self._idle.append(link)
                else:
                    is_reusable = False
            if not is_reusable:
                link.close()

    def _idle_link(self, origin: str) -> Link | None:
        with self._mutex:
            found = next((link for link in self._idle if link.origin == origin), None)
            if found is not None:
                self._idle.remove(found)
            return found

    def _changed(self) -> SourceChanged:
        return SourceChanged(f"{self._uri.name} was changed while it was read; retry once it is at rest")


def _redirected(uri: RemoteUri, location: str | None) -> RemoteUri:
    if not location:
        raise SourceError(f"{uri.name} is redirected to nowhere")
    target = parse_uri(urljoin(f"{uri.origin}{uri.request_target}", location))
    if target.scheme not in {"http", "https"} or (uri.scheme, target.scheme) == ("https", "http"):
        raise SourceError(
            f"{uri.name} leads to {target.name}, which is not as safe: redirects keep https",
            code="source_forbidden",
        )
    return target


def _require_answer(answer: HTTPResponse, uri: RemoteUri) -> None:
    """Raise what an answer means that brings no part of the file."""
    status = answer.status
    if status in {200, 206, 412, 416}:
        return
    if status in {404, 410}:
        raise SourceError(f"{uri.name} does not exist (the server answers {status})", code="source_missing")
    if status in {401, 403, 407}:
        looked = (
            "no netrc file names this host" if not _credentials(uri) else "with the password of the netrc file"
        )
        raise SourceError(
            f"{uri.name} may not be read: the server answers {status} ({looked}; credentials are read from the"
            " file that NETRC names or ~/.netrc of the daemon's user, for https only)",
            code="source_forbidden",
        )
    if status in {408, 425, 429} or status >= 500:
        asked = answer.headers.get("Retry-After", "")
        seconds = min(float(asked), _WAIT_SECONDS_MAX) if asked.isdecimal() else None
        raise TryAgain(f"it answers {status}", wait_seconds=seconds)
    raise SourceError(f"{uri.name} cannot be read: the server answers {status}")


def _version(answer: HTTPResponse) -> Version:
    size: str | None
    if answer.status == 206:
        total = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        size = total[1] if total else None
    else:
        size = answer.headers.get("Content-Length")
    return Version(
        size_bytes=int(size) if size is not None and size.isdecimal() else None,
        etag=answer.headers.get("ETag"),
        modified=answer.headers.get("Last-Modified"),
    )


def _first_byte(answer: HTTPResponse) -> int | None:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _body(answer: HTTPResponse, size: int | None) -> Iterator[bytes]:
    """The answer's bytes, never more than were asked for, however many come."""
    left = size
    while left is None or left > 0:
        try:
            piece = answer.read(_PIECE_BYTES if left is None else min(_PIECE_BYTES, left))
        except (OSError, HTTPException) as error:
            raise broken_off(error) from error
        if not piece:
            if left is not None:
                raise TryAgain("the connection broke off before all bytes came")
            return
        if left is not None:
            left -= len(piece)
        yield piece


def _credentials(uri: RemoteUri) -> dict[str, str]:
    """Basic authentication from the operator's netrc file, for this host, and never in the clear."""
    path = Path(os.environ.get("NETRC") or Path("~/.netrc").expanduser())
    if uri.scheme != "https" or not path.is_file():
        return {}
    try:
        found = netrc.netrc(path).hosts.get(uri.host)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"the netrc file {path} cannot be read: {type(error).__name__}") from error
    if found is None:
        return {}
    login, _, password = found
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode("ascii")}
