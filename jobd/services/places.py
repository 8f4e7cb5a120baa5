"""Whether the remote places that the settings name can be meant: found out at the start, not at the first job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from jobd.settings import Settings


def require_sound_places(settings: Settings) -> None:
    """Raise ConfigurationError for a prefix or a network that is none."""
    if not settings.remote_allow and not settings.remote_private:
        return
    # Here, since they bring the whole import path with them, which an idle daemon need not keep in memory.
    from jobd.sources.places.addresses import require_private_entry  # noqa: PLC0415
    from jobd.sources.places.uri import parse_prefix  # noqa: PLC0415

    for variable, entries, check in (
        ("JOBD_REMOTE_ALLOW", settings.remote_allow, parse_prefix),
        ("JOBD_REMOTE_PRIVATE", settings.remote_private, require_private_entry),
    ):
        for entry in entries:
            try:
                check(entry)
            except ValueError as error:
                raise ConfigurationError(f"{variable}: {error}") from None
