"""The addresses of a host, all of which must be public, or allowed by the operator in so many words."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.places.patience import TryAgain
from jobd.sources.places.uri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

_FURTHER_BLOCKED = tuple(
    ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's own services, metadata among them, for machines inside
        "192.0.0.0/24",  # protocol assignments; metadata of one cloud
        "fec0::/10",  # site-local, the older form of private
        "2001::/32",  # Teredo: leads to an IPv4 address of the sender's choice
        "64:ff9b:1::/48",  # translation to private IPv4
    )
)
_TRANSLATED = ip_network("64:ff9b::/96")


def require_private_entry(text: str) -> str:
    """A host or a network as JOBD_REMOTE_PRIVATE takes it, in its one spelling. Raises ValueError."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        if "/" in text or "?" in text:
            raise
        return parse_prefix(f"http://{text}").host


def resolved(host: str, port: int, private_allowed: Sequence[str]) -> list[str]:
    """The host's addresses, to be connected to as they are, without asking for them again.

    Raises SourceError (``source_forbidden``) if one may not be reached, TryAgain if there is none just now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TryAgain(f"the host {host} has no address just now: {error.strerror or error}") from error
    except UnicodeError as error:
        raise SourceError(f"{host} is no valid host", code="source_missing") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    for text in addresses:
        address = ip_address(text)
        if not _is_public(address) and not _is_allowed(host, address, private_allowed):
            at = "" if text == host else f" has the address {address}, which"
            raise SourceError(
                f"{host}{at} is not public, and is not read. Set JOBD_REMOTE_PRIVATE to allow it",
                code="source_forbidden",
            )
    return addresses


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _FURTHER_BLOCKED)
    )


def _is_allowed(host: str, address: IPv4Address | IPv6Address, private_allowed: Sequence[str]) -> bool:
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    for entry in private_allowed:
        try:
            text = require_private_entry(entry)
            network = ip_network(text)
        except ValueError:
            if entry.lower().removesuffix(".") == host:
                return True
            continue
        if address in network or (inner is not None and inner in network):
            return True
    return False
