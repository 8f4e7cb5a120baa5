"""Loaded by a daemon like a module of handlers: from then on a file of this name kills the process that reads it.

As the kernel does it to a process that needs more memory than there is: without a word.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jobd.runner.batch import BatchRunner

if TYPE_CHECKING:
    from jobd.runner.context import BatchReceipt

NAME = "deadly.csv"
OUT_OF_MEMORY = 137

_run = BatchRunner.run


async def _run_or_die(self: BatchRunner, attempt: Any) -> BatchReceipt:
    job = self._held.job
    if job.filename == NAME and self._held.processed_rows >= job.metadata.get("after", 0):
        os._exit(OUT_OF_MEMORY)
    return await _run(self, attempt)


BatchRunner.run = _run_or_die  # type: ignore[method-assign]
