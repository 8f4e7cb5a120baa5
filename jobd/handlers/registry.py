"""Finds the handler of a job type, and the routine of a processing job by its name.

A routine registers itself::

    from jobd.handlers.registry import handler

    @handler("refresh_totals")
    async def refresh_totals(context):
        async def write(connection):
            await connection.execute("update ...")
        await context.commit(write, progress=50)
        return {"refreshed": True}

and ``JOBD_HANDLERS=my_package.jobs`` has the module imported at the start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from jobd.errors import ConfigurationError, JobFailed
from jobd.model.status import JobType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from jobd.handlers.processing import HandlerContext
    from jobd.runner.context import Handler

    Routine = Callable[[HandlerContext], Awaitable[Any]]

# Imported at the first job of the type: a daemon that imports nothing need not keep the import path in memory.
_BY_TYPE = {
    JobType.IMPORT: "jobd.handlers.import_job:ImportHandler",
    JobType.VALIDATION: "jobd.handlers.validation_job:ValidationHandler",
    JobType.PROCESSING: "jobd.handlers.processing:ProcessingHandler",
}

_routines: dict[str, Routine] = {}


def handler(name: str) -> Callable[[Routine], Routine]:
    """Register an async function as the routine of processing jobs whose ``handler`` is this name."""

    def register(routine: Routine) -> Routine:
        if _routines.setdefault(name, routine) is not routine:
            raise ConfigurationError(f"two handlers are registered as {name!r}")
        return routine

    return register


def routine(name: str | None) -> Routine:
    """The routine of that name."""
    found = _routines.get(name or "")
    if found is None:
        known = ", ".join(sorted(_routines)) or "none (see JOBD_HANDLERS)"
        raise JobFailed(f"no handler {name!r} is registered here; known: {known}", code="handler_unknown")
    return found


def load(references: Iterable[str]) -> None:
    """Import what ``JOBD_HANDLERS`` names: modules, or ``module:attribute``, registered under that name."""
    for reference in references:
        module_name, _, attribute = reference.partition(":")
        try:
            module = import_module(module_name)
            found = getattr(module, attribute) if attribute else None
        except Exception as error:
            raise ConfigurationError(
                f"JOBD_HANDLERS: cannot load {reference}: {type(error).__name__}: {error}"
            ) from error
        if found is not None and found not in _routines.values():
            handler(attribute)(found)


class Handlers:
    """The handlers of one daemon, each made at its first use."""

    def __init__(self) -> None:
        self._made: dict[JobType, Handler] = {}

    def made(self, job_type: JobType) -> Handler | None:
        """The handler of that type, if it was used already."""
        return self._made.get(job_type)

    async def __call__(self, job_type: JobType) -> Handler:
        """The handler of that type."""
        made = self._made.get(job_type)
        if made is None:
            reference = _BY_TYPE.get(job_type)
            if reference is None:
                raise JobFailed(f"jobs of type {job_type!r} are not built yet", code="not_built")
            module_name, _, name = reference.partition(":")
            # In a thread: the import path takes half a second to load, and heartbeats must go on meanwhile.
            module = await anyio.to_thread.run_sync(import_module, module_name)
            made = self._made[job_type] = getattr(module, name)()
        return made
