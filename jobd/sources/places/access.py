"""Which remote places may be read: what the daemon allows, and what a job's submitter is limited to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.places.uri import RemoteUri, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAccess:
    """What the daemon's settings allow.

    ``allowed`` are prefixes such as ``s3://bucket/in/`` or ``https://files.example.com``: whole parts of the
    path are compared, and none means that no remote source is read. ``private_allowed`` are hosts or networks
    (CIDR) with private addresses that may be reached by HTTP all the same. ``copy_bytes_max`` bounds the file of a
    server that cannot give parts of files, which is copied to the disk.
    """

    allowed: tuple[str, ...]
    private_allowed: tuple[str, ...] = ()
    copy_bytes_max: int = 1 << 30


def require_allowed(
    uri: RemoteUri, access: RemoteAccess, prefixes: Sequence[str] | None, *, came_from: RemoteUri | None = None
) -> None:
    """Raise SourceError (``source_forbidden``) unless the daemon, and the submitter's limits, allow the place.

    ``came_from`` is the place that redirected here.
    """
    shown = uri.name if came_from is None else f"{came_from.name} leads to {uri.name}, which"
    if not _is_inside(uri, access.allowed):
        allowed = ", ".join(access.allowed) or "none are set"
        raise SourceError(
            f"{shown} is outside the remote places that may be read: {allowed}. Set JOBD_REMOTE_ALLOW",
            code="source_forbidden",
        )
    if prefixes is not None and not _is_inside(uri, prefixes):
        allowed = ", ".join(prefixes) or "none"
        raise SourceError(
            f"{shown} is outside the remote places that the job's submitter is limited to: {allowed}."
            " They are set by jobd grant",
            code="source_forbidden",
        )


def _is_inside(uri: RemoteUri, prefixes: Sequence[str]) -> bool:
    for text in prefixes:
        try:
            prefix = parse_prefix(text)
        except ValueError:  # a local directory among a submitter's limits, or nonsense: it allows nothing here
            continue
        if uri.is_inside(prefix):
            return True
    return False
