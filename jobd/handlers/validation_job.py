"""Validation jobs: an import that keeps nothing but what it found out. See ``jobd.importing.rehearsal``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.importing.pipeline import run_import
from jobd.runner.context import Handler

if TYPE_CHECKING:
    from jobd.runner.context import JobContext


class ValidationHandler(Handler):
    """Runs jobs of the type ``validation``."""

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Try every record; the result says what an import would do."""
        return await run_import(context, keeps=False)
