"""Tells systemd how the daemon is: nobody else writes its status line or feeds its watchdog."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobd.services.loop import Pulse
    from jobd.systemd import ServiceManager

# Without these no job is claimed, protected, ended or stopped in time; the others are worth no restart.
VITAL = frozenset({"claimer", "heartbeat", "trust", "finisher", "enforcer"})
STATUS_SECONDS = 5.0


class Reporter:
    """Says what goes on when it changes; feeds the watchdog while the vital loops complete their rounds."""

    def __init__(self, service_manager: ServiceManager, pulse: Pulse, describe: Callable[[], str]) -> None:
        self._service_manager = service_manager
        self._pulse = pulse
        self._describe = describe
        self._said = ""
        self._is_ready = False
        self._wakeup = Wakeup()

    async def run(self) -> None:
        """Report until cancelled. It runs on the event loop that it vouches for."""
        watchdog_seconds = self._service_manager.watchdog_seconds
        seconds = STATUS_SECONDS if watchdog_seconds is None else min(STATUS_SECONDS, watchdog_seconds / 3)
        while True:
            if not self._pulse.stalled(VITAL):
                self._service_manager.watchdog()
            status = self._describe()
            if status != self._said:
                self._service_manager.status(status)
                self._said = status
            await self._wakeup.wait(seconds)

    def changed(self) -> None:
        """Say at once what goes on now."""
        self._wakeup.set()

    def wait_up_to(self, seconds: float) -> None:
        """Ask for that much more time to start or to stop: said by whoever makes progress, never by a timer."""
        self._service_manager.extend(seconds)
        self.changed()

    def ready(self) -> None:
        """Work can be taken from now on."""
        self._is_ready = True
        self._said = self._describe()
        self._service_manager.ready(self._said)

    def stopping(self) -> None:
        """The daemon has begun to stop."""
        self._is_ready = False
        self._said = self._describe()
        self._service_manager.stopping(self._said)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """The settings are read again, which makes nobody ready who was not."""
        if self._is_ready:
            self._service_manager.reloading()
        try:
            yield
        finally:
            if self._is_ready:
                self.ready()
