"""A daemon as the program that it is: its event loop, the signals that it obeys, and how the process ends."""

from __future__ import annotations

import faulthandler
import os
import signal
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import anyio

from jobd import log
from jobd.daemon import Daemon
from jobd.errors import ConfigurationError, JobdError, SchemaMismatch
from jobd.handlers import registry
from jobd.runner import points
from jobd.settings import Settings, journal_stream, kept_sockets, service_manager_address, trace_variables
from jobd.systemd import ServiceManager
from jobd.tracing.start import start as start_tracing

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

EXIT_FAILED = 1

_log = log.get("daemon")


async def main(settings: Settings, reread: Callable[[], Settings] | None = None) -> int:
    """Run a daemon under signals: SIGTERM and SIGINT stop it, SIGHUP has ``reread`` called.

    Without ``reread`` a SIGHUP means what it means to any program: the terminal was closed.
    """
    tracing = start_tracing(trace_variables(), version("jobd"), settings.instance)
    manager = ServiceManager(*service_manager_address())
    daemon = Daemon(settings, manager, tracing=tracing, listening=kept_sockets())
    daemon.leave_process = os._exit
    async with anyio.create_task_group() as group:
        await group.start(_obey_signals, daemon, reread)
        code = await daemon.run()
        group.cancel_scope.cancel()
    return code


async def _obey_signals(
    daemon: Daemon,
    reread: Callable[[], Settings] | None,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            _log.info("signal", name=signal.Signals(number).name)
            if number != signal.SIGHUP or reread is None:
                daemon.stop()
            else:
                daemon.reload(reread)


def run(settings: Settings, reread: Callable[[], Settings] | None = None) -> int:
    """Run a daemon in this process until it is told to stop; gives the exit code."""
    faulthandler.enable()  # on SIGABRT too: the stacks of a daemon that its watchdog ends
    log.configure(settings.log_level, settings.log_format, journal_stream())
    log.guard_process()
    if settings.test_point is not None:
        points.arm(settings.test_point)
    registry.load(settings.handlers)
    use_uvloop = settings.event_loop == "uvloop" or (
        settings.event_loop == "auto" and find_spec("uvloop") is not None
    )
    try:
        return anyio.run(main, settings, reread, backend_options={"use_uvloop": use_uvloop})
    except BaseExceptionGroup as group:
        known = group.subgroup((ConfigurationError, SchemaMismatch))
        if known is None:
            return _fault(group)
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    except JobdError:
        raise
    except Exception as bug:  # noqa: BLE001  its text, which may quote rows, must not reach standard error
        return _fault(bug)


def _fault(bug: BaseException) -> int:
    _log.error("ended by a fault of its own", error=bug)
    return EXIT_FAILED
