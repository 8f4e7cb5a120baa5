"""Reads the settings again (SIGHUP), and takes over what can be changed while the daemon runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd import log
from jobd.errors import ConfigurationError
from jobd.services.places import require_sound_places
from jobd.settings import Settings, journal_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.runner.finisher import Finisher
    from jobd.runner.lanes import Lanes
    from jobd.runner.parts import Parts

# Everything else is held by the parts that it was given to, and by the worker's row: it needs a restart.
TAKEN_OVER = ("log_level", "log_format", "concurrency")

_log = log.get("reloader")


class Reloader:
    """Knows the settings as they are in effect, and why the last reading of them failed."""

    def __init__(self, parts: Parts, lanes: Lanes, finisher: Finisher) -> None:
        self._parts = parts
        self._lanes = lanes
        self._finisher = finisher
        self._in_effect = parts.settings
        self.complaint: str | None = None

    def reload(self, reread: Callable[[], Settings]) -> None:
        """Take over what can be; settings that are not valid as a whole change nothing."""
        try:
            settings = reread()
            require_sound_places(settings)
        except ConfigurationError as error:
            self.complaint = f"settings not reloaded: {error}"
            self._parts.metrics.daemon.reload_succeeded.set(0)
            _log.error("settings not reloaded", reason=str(error))
            return
        self.complaint = None
        self._parts.metrics.daemon.reload_succeeded.set(1)
        self._parts.metrics.daemon.reloaded_at.set_to_current_time()
        self._take_over(settings)

    def _take_over(self, settings: Settings) -> None:
        before = self._in_effect
        changed = [name for name in Settings.model_fields if getattr(settings, name) != getattr(before, name)]
        self._in_effect = before.model_copy(update={name: getattr(settings, name) for name in TAKEN_OVER})
        log.configure(settings.log_level, settings.log_format, journal_stream())
        self._finisher.is_verbose = settings.log_level == "debug"
        self._lanes.slots = settings.concurrency
        self._parts.metrics.daemon.slots.set(settings.concurrency)
        # Secrets that stand in files are read again for each new connection.
        self._parts.pool.expire()
        self._parts.sessions.expire()
        self._lanes.slot_freed.set()
        _log.info(
            "settings read again",
            taken_over=[name for name in changed if name in TAKEN_OVER],
            needs_restart=[name for name in changed if name not in TAKEN_OVER],
        )
