"""What a remote source is called: one spelling for each place, so that prefixes can be compared.

Names in object stores are taken as they stand, as the stores' own tools do; those of HTTP in the normal form of
RFC 3986. Whatever a server might understand as a way upwards, once it has decoded it, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, unquote

from jobd.errors import SourceError

STORES = {"s3": "bucket", "gs": "bucket", "az": "container"}
_PORTS = {"http": 80, "https": 443}
_HINTS = {
    "abfs": "write az://container/name; the account comes from the daemon's AZURE_STORAGE_ACCOUNT_NAME",
    "s3a": "write s3://bucket/name",
    "gcs": "write gs://bucket/name",
    "azure": "write az://container/name",
    "ftp": "HTTP, object stores and local files can be read",
}
_HINTS |= {"abfss": _HINTS["abfs"], "wasb": _HINTS["abfs"], "wasbs": _HINTS["abfs"], "s3n": _HINTS["s3a"]}
_HINTS |= {"adl": _HINTS["abfs"], "sftp": _HINTS["ftp"], "ftps": _HINTS["ftp"]}

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{1,254}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_SAFE = "/%!$&'()*+,;=:@~"
_AMBIGUOUS = re.compile("[ßς\u200c\u200d]")  # two versions of IDNA lead them to different hosts
_DECODINGS_MAX = 8
_LENGTH_MAX = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteUri:
    """A remote place in its one spelling.

    ``host`` is a bucket or container for object stores, and of HTTP a host name in lower-case ASCII or an address;
    ``path`` begins with ``/``. ``query`` may hold secrets, so it is in no message and no name.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.origin}{self.path}"

    @property
    def origin(self) -> str:
        """Its beginning up to the path."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def key(self) -> str:
        """The object's name in its bucket."""
        return self.path[1:]

    @property
    def request_target(self) -> str:
        """What is asked of an HTTP server."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def is_inside(self, prefix: RemoteUri) -> bool:
        """Whether it is what the prefix names, or lies below it, in whole parts of the path."""
        if (self.scheme, self.host, self.port) != (prefix.scheme, prefix.host, prefix.port):
            return False
        below = prefix.path if prefix.path.endswith("/") else f"{prefix.path}/"
        return self.path == prefix.path or self.path.startswith(below)


def is_remote(source: str) -> bool:
    """Whether a source's name is a URI that is not ``file://``."""
    scheme, separator, _ = source.partition("://")
    return bool(separator) and "/" not in scheme and scheme.lower() != "file"


def parse_uri(source: str) -> RemoteUri:
    """The place that a URI names. Raises SourceError, whose message repeats no secret."""
    scheme, _, rest = source.partition("://")
    scheme = scheme.lower()
    if len(source) > _LENGTH_MAX:
        raise SourceError(f"a URI of more than {_LENGTH_MAX} characters names nothing", code="source_missing")
    if _CONTROLS.search(source):
        raise SourceError(f"{masked(source)!r} contains a control character", code="source_missing")
    if scheme in STORES:
        return _store_uri(scheme, rest, masked(source))
    if scheme in _PORTS:
        return _http_uri(scheme, rest, masked(source))
    hint = _HINTS.get(scheme, "s3, gs, az, https and http can be read")
    raise SourceError(f"sources by {scheme}:// cannot be read: {hint}", code="source_unsupported")


def parse_prefix(text: str) -> RemoteUri:
    """A prefix of an allow-list. Raises ValueError, which says what is wrong with it."""
    if "://" not in text:
        raise ValueError(f"{text!r} is no prefix of URIs: write s3://bucket/directory/ or https://host/")
    try:
        uri = parse_uri(text)
    except SourceError as error:
        raise ValueError(str(error)) from error
    if uri.query:
        raise ValueError(f"{uri.name} has a query; a prefix has none")
    return uri


def masked(source: str) -> str:
    """A URI as a message may repeat it: without user, password and query."""
    scheme, _, rest = source.partition("://")
    if scheme.lower() not in STORES:
        rest = re.split(r"[?#]", rest)[0]
    return f"{scheme}://{rest.rpartition('@')[2] if '@' in rest.partition('/')[0] else rest}"


def _store_uri(scheme: str, rest: str, shown: str) -> RemoteUri:
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise _with_credentials(shown)
    if not _BUCKET.fullmatch(bucket):
        raise SourceError(
            f"{shown} names no {STORES[scheme]}: write {scheme}://{STORES[scheme]}/name", code="source_missing"
        )
    if key.startswith("/") or "//" in key:
        raise SourceError(
            f"{shown} has an empty part between two slashes, and such objects cannot be read",
            code="source_unsupported",
        )
    if _climbs(key):
        raise _climbing(shown)
    return RemoteUri(scheme=scheme, host=bucket, port=None, path=f"/{key}")


def _http_uri(scheme: str, rest: str, shown: str) -> RemoteUri:
    if "\\" in rest:
        raise SourceError(f"{shown} contains a backslash; write / or %5C", code="source_forbidden")
    rest, hash_sign, _ = rest.partition("#")
    if hash_sign:
        raise SourceError(
            f"{shown} has a fragment (#…), which no server gets to see; write %23 for a # in the name",
            code="source_unsupported",
        )
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise _with_credentials(shown)
    host, port = _host_and_port(authority, scheme, shown)
    path = _normal_path(slash + path or "/")
    if _climbs(path):
        raise _climbing(shown)
    return RemoteUri(scheme=scheme, host=host, port=port, path=path, query=quote(query, safe=f"{_PATH_SAFE}?"))


def _host_and_port(authority: str, scheme: str, shown: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, bracket, port = authority[1:].partition("]")
        is_wrong = not bracket or bool(port and not port.startswith(":"))
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        is_wrong = False
    if is_wrong or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise SourceError(f"{shown} has no valid host and port", code="source_missing")
    try:
        name = IPv6Address(host).compressed if authority.startswith("[") and "%" not in host else _host_name(host)
    except (AddressValueError, UnicodeError) as error:
        raise SourceError(f"{shown} has no valid host", code="source_missing") from error
    if name is None:
        raise SourceError(
            f"{shown} has no valid host: write a name, four decimal numbers or an IPv6 address in brackets",
            code="source_missing",
        )
    return name, int(port) if port else _PORTS[scheme]


def _host_name(text: str) -> str | None:
    """A host in its one spelling; None for what is none, or is a number that only some libraries understand."""
    if _AMBIGUOUS.search(text):
        return None
    host = text.lower() if text.isascii() else text.encode("idna").decode("ascii").lower()
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return str(IPv4Address(host)) if _NUMBER.fullmatch(labels[-1]) else host


def _normal_path(path: str) -> str:
    """RFC 3986, section 6.2.2: what need not be coded is not, what must be is, and no dot segments."""

    def normal(code: re.Match[str]) -> str:
        byte = int(code[1], 16)
        return chr(byte) if byte in _UNRESERVED else code[0].upper()

    path = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
    segments: list[str] = []
    parts = quote(_CODED.sub(normal, path), safe=_PATH_SAFE).split("/")[1:]
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part != ".":
            segments.append(part)
    if parts[-1] in {".", ".."}:
        segments.append("")
    return "/" + "/".join(segments)


def _climbs(path: str) -> bool:
    """Whether somebody who decodes the path, however often, may find a step upwards or a control character."""
    for _ in range(_DECODINGS_MAX):
        parts = re.split(r"[/\\]", path)
        if any(part.partition(";")[0] in {".", ".."} for part in parts) or _CONTROLS.search(path):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
    return True


def _with_credentials(shown: str) -> SourceError:
    return SourceError(
        f"{shown} carries a user or a password; credentials are the daemon's (its environment), never the job's",
        code="source_forbidden",
    )


def _climbing(shown: str) -> SourceError:
    return SourceError(f"{shown} contains a step upwards (..), spelled out or coded", code="source_forbidden")
