"""Import jobs: rows from a file into a table. See ``jobd.importing``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.importing.pipeline import run_import

if TYPE_CHECKING:
    from jobd.runner.context import JobContext


class ImportHandler:
    """Runs jobs of the type ``import``."""

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Import until the source's end."""
        return await run_import(context)
