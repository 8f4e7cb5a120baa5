"""The command line as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from tests.support.environment import without_settings

if TYPE_CHECKING:
    from pathlib import Path


async def start(
    *arguments: object, cwd: Path, stdout: int = asyncio.subprocess.PIPE, **environment: str
) -> asyncio.subprocess.Process:
    """Start ``jobd …`` with these settings and no others."""
    inherited = without_settings()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jobd",
        *map(str, arguments),
        cwd=cwd,
        env={**inherited, **environment},
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )
