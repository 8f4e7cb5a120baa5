"""Import jobs: rows from a file into a table. See ``jobd.importing``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.importing import bundle as bundles
from jobd.importing.pipeline import run_import
from jobd.runner.context import Handler

if TYPE_CHECKING:
    from jobd.model.job import Job
    from jobd.runner.bundle import Bundle
    from jobd.runner.context import JobContext


class ImportHandler(Handler):
    """Runs jobs of the type ``import``."""

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Import until the source's end."""
        return await run_import(context)

    def bundle_key(self, job: Job) -> object | None:
        """Small files of a kind are imported together."""
        return bundles.bundle_key(job)

    async def run_bundle(self, bundle: Bundle) -> None:
        """Import them as one batch."""
        await bundles.import_bundle(bundle)
