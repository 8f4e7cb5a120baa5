"""An event that a loop waits on with a deadline; many calls before the loop looks are one."""

from __future__ import annotations

import anyio


class Wakeup:
    """Set from anywhere in the event loop; waiting takes it back."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Let the loop take its next round now."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody called since the last round."""
        return self._event.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait until called, or so long at most; tells whether it was called."""
        if not self._event.is_set():
            with anyio.move_on_after(seconds):
                await self._event.wait()
        was_set = self._event.is_set()
        if was_set:
            self._event = anyio.Event()
        return was_set
