"""Routines that try what the unit forbids, and what its watchdog is for; installed in the box."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobd.handlers.registry import handler

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from jobd.handlers.processing import HandlerContext


@handler("quick")
async def quick(context: HandlerContext) -> None:
    """Return at once."""


@handler("slow")
async def slow(context: HandlerContext) -> None:
    """Keep one batch open for ``seconds``; end with it."""

    async def write(connection: asyncpg.Connection) -> int:
        await asyncio.sleep(context.job.metadata["seconds"])
        return 1

    await context.commit(write)


@handler("block")
async def block(context: HandlerContext) -> None:
    """Stop the event loop for good, the first time."""
    seen = Path("/var/lib/jobd") / str(context.job.id)
    if not seen.exists():
        seen.touch()
        time.sleep(600)  # noqa: ASYNC251  this is the fault


@handler("perish")
async def perish(context: HandlerContext) -> None:
    """End the process without a word after ``seconds``, as the kernel ends one that needs too much memory."""
    await asyncio.sleep(context.job.metadata["seconds"])
    os._exit(137)


@handler("compute")
async def compute(context: HandlerContext) -> None:
    """Compute in the event loop, which turns only now and then."""
    while True:
        time.sleep(0.7)  # noqa: ASYNC251  this is the fault
        await asyncio.sleep(0.02)


@handler("trespass")
async def trespass(context: HandlerContext) -> dict[str, Any]:
    """Try each of these; the result says what became of it."""
    attempts: dict[str, Callable[[], Any]] = {
        "state": lambda: Path("/var/lib/jobd/own").write_text("x"),
        "temporary": lambda: Path("/tmp/own").write_text("x"),  # noqa: S108
        "etc": lambda: Path("/etc/jobd/written").write_text("x"),
        "program": lambda: Path("/opt/jobd/written").write_text("x"),
        "import root": lambda: Path("/srv/in/written").write_text("x"),
        "home": lambda: next(Path("/root").iterdir()),
        "credentials of root": lambda: Path("/etc/jobd/credentials/database-url").read_text(),
        "other processes": lambda: Path("/proc/1/cmdline").read_bytes(),
        "loopback": lambda: _send("127.0.0.1"),
        "elsewhere": lambda: _send("192.0.2.1"),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
        "priority": lambda: os.nice(-1),
        "mount": lambda: _call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "namespace": lambda: _call("unshare", 0x10000000),
    }
    return {name: _outcome(attempt) for name, attempt in attempts.items()}


def _outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return "done"


def _send(host: str) -> None:
    """A datagram: other than a connection, it is refused at once where it is filtered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", (host, 9))


def _call(name: str, *arguments: Any) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)
