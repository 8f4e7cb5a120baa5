"""Objects in S3, Google Cloud Storage and Azure Blob Storage, by the daemon's own credentials and endpoints.

No host comes from a job here: bucket and name are parts of a path, so the checks of addresses do not apply.
"""

from __future__ import annotations

import contextlib
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobd.errors import JobdError, SourceChanged, SourceError
from jobd.model.files import FileEntry
from jobd.sources.places.patience import TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore import GetOptions, ObjectMeta
    from obstore.store import ObjectStore

    from jobd.sources.places.patience import Deadline, Patience
    from jobd.sources.places.uri import RemoteUri

_PIECE_BYTES = 1 << 18
_LISTED_AT_ONCE = 1000
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_LOOKED_FOR = {
    "s3": "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, then those"
    " of the container or machine; AWS_SKIP_SIGNATURE=true for none",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT, those of gcloud, then those of the machine;"
    " GOOGLE_SKIP_SIGNATURE=true for none",
    "az": "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and"
    " AZURE_TENANT_ID, then those of the machine; AZURE_SKIP_SIGNATURE=true for none",
}
# Where the clients ask the machine they run on for credentials, when nothing else names any.
_MACHINE = re.compile(
    r"/latest/(?:api/token|meta-data)|computeMetadata|/metadata/(?:identity|instance)|/msi/token"
)


class StorePlace:
    """One object of a store. Any thread may ask."""

    def __init__(self, uri: RemoteUri, patience: Patience) -> None:
        self._uri = uri
        self._store = opened_store(uri, patience)
        self._meta: ObjectMeta | None = None

    def head(self) -> tuple[int, int]:
        """Its size, and when it was changed in nanoseconds since 1970. Raises TryAgain."""
        import obstore  # noqa: PLC0415  an extra

        with _translating(self._uri):
            self._meta = obstore.head(self._store, self._uri.key)
        return self._meta["size"], _modified_ns(self._meta)

    def pieces(self, position: int, size: int, _deadline: Deadline) -> Iterator[bytes]:
        """Bytes from a position on, if the object is still the one whose head was read."""
        import obstore  # noqa: PLC0415  an extra

        meta = self._meta
        options: GetOptions = {"range": (position, position + size)}
        if meta and meta["e_tag"] and not meta["e_tag"].startswith("W/"):
            options["if_match"] = meta["e_tag"]
        with _translating(self._uri):
            answer = obstore.get(self._store, self._uri.key, options=options)
            if meta and _version(answer.meta) != _version(meta):
                raise _changed(self._uri)
            yield from answer.stream(min_chunk_size=_PIECE_BYTES)

    def close(self) -> None:
        """The client keeps its connections for a while by itself."""


def opened_store(uri: RemoteUri, patience: Patience) -> ObjectStore:
    """The client for a bucket. Retries are not its business: they end with the fetch's own deadline."""
    try:
        from obstore import store  # noqa: PLC0415  an extra
    except ImportError as error:
        raise SourceError(
            f"sources by {uri.scheme}:// need a further package: install jobd[s3]", code="source_unsupported"
        ) from error
    endpoint = _endpoint(uri.scheme)
    options: dict[str, Any] = {
        "client_options": {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=patience.connect_seconds),
            "read_timeout": timedelta(seconds=patience.idle_seconds),
            "timeout": timedelta(seconds=patience.total_seconds),
        },
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=patience.total_seconds)},
    }
    try:
        if uri.scheme == "s3":
            return store.S3Store(uri.host, **options)
        if uri.scheme == "gs":
            return store.GCSStore(uri.host, **options)
        return store.AzureStore(uri.host, **options)
    except Exception as error:
        raise SourceError(
            f"{uri.origin} cannot be opened with this daemon's credentials: {_first_line(error)}"
            f" (looked for: {_LOOKED_FOR[uri.scheme]})",
            code="source_forbidden",
        ) from error


def listed(store: ObjectStore, uri: RemoteUri, directory: str) -> Iterator[FileEntry]:
    """Everything below a directory (``""`` or one that ends in a slash), in no order. Raises TryAgain."""
    import obstore  # noqa: PLC0415  an extra

    with _translating(uri):
        for found in obstore.list(store, prefix=directory or None, chunk_size=_LISTED_AT_ONCE):
            for meta in found:
                yield FileEntry(f"{uri.origin}/{meta['path']}", meta["size"], _modified_ns(meta))


def _endpoint(scheme: str) -> str:
    """The server that the environment names, if it names one; the client panics at what is no URL."""
    for name in _ENDPOINTS[scheme]:
        endpoint = os.environ.get(name)
        if endpoint is not None and not re.match(r"https?://[^/]", endpoint):
            raise SourceError(f"{name} of this daemon's environment is no URL: {endpoint!r}")
        if endpoint is not None:
            return endpoint
    return ""


@contextlib.contextmanager
def _translating(uri: RemoteUri) -> Iterator[None]:
    from obstore import exceptions  # noqa: PLC0415  an extra

    try:
        yield
    except JobdError:
        raise
    except (exceptions.BaseError, ValueError, OSError) as error:
        raise translated(error, uri) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # a fault in the client, which is no Exception
            raise SourceError(f"{uri.name} cannot be read: the client failed: {_first_line(error)}") from error
        raise


def translated(error: Exception, uri: RemoteUri) -> Exception:
    """What a client's error means: TryAgain, or what the job fails with."""
    from obstore import exceptions  # noqa: PLC0415  an extra

    line = _first_line(error)
    status = re.search(r"status code: (\d{3})", line)
    code = int(status[1]) if status else 0
    if isinstance(error, exceptions.PreconditionError) or code == 416:
        return _changed(uri)
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return _forbidden(uri, line)
    if _MACHINE.search(line):
        return TryAgain("this machine has no credentials to offer", lasting=_forbidden(uri, "there are none"))
    if isinstance(error, FileNotFoundError) or code == 404:
        return SourceError(f"{uri.name} does not exist: no such object, or no such bucket", code="source_missing")
    is_elsewhere = "BareRedirect" in str(error)
    is_final = is_elsewhere or isinstance(error, ValueError | exceptions.InvalidPathError)
    if is_final or (400 <= code < 500 and code not in {408, 425, 429}):
        hint = "; it lies in another region: set AWS_REGION or AWS_ENDPOINT_URL" if is_elsewhere else ""
        return SourceError(f"{uri.name} cannot be read: {line}{hint}")
    return TryAgain(line)


def _changed(uri: RemoteUri) -> SourceChanged:
    return SourceChanged(f"{uri.name} was changed while it was read; retry once it is at rest")


def _forbidden(uri: RemoteUri, line: str) -> SourceError:
    return SourceError(
        f"{uri.name} may not be read with this daemon's credentials: {line}"
        f" (looked for: {_LOOKED_FOR[uri.scheme]})",
        code="source_forbidden",
    )


def _first_line(error: BaseException) -> str:
    """The client's own words without what may be secret in them: signatures are in queries."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"\?[^\s\"']+", "?…", line).removesuffix(": ").strip()[:500]


def _version(meta: ObjectMeta) -> tuple[int, object]:
    """What tells one state of an object from another."""
    return meta["size"], meta["e_tag"] or meta["last_modified"]


def _modified_ns(meta: ObjectMeta) -> int:
    return int(meta["last_modified"].timestamp() * 1_000_000) * 1000
