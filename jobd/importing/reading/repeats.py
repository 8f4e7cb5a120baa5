"""Content that was imported before: the whole of a job's source, or single files of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.model.cursor import Cursor
from jobd.model.tally import Tally
from jobd.runner.context import BatchResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    import asyncpg

    from jobd.importing.reading.inputs import Inputs
    from jobd.importing.reading.totals import Totals
    from jobd.importing.ways.work import Plan
    from jobd.model.job import Job
    from jobd.runner.context import JobContext


async def find_repeated(context: JobContext, inputs: Inputs, totals: Totals, plan: Plan) -> UUID | None:
    """The job by which the same content was imported in the same way.

    Most content can be told to be new by its size, so that it need not be read for its hash beforehand.
    """
    settings = ledger_settings(context.job, plan)
    size = inputs.size_bytes
    if size is not None and not await context.may_repeat(plan.target.name, settings, size):
        return None
    file_hash = await totals.hash()
    found = await context.repeats(plan.target.name, settings, file_hash)
    if found is not None:
        await totals.write_hash()
    return found


def ledger_settings(job: Job, plan: Plan) -> Mapping[str, Any]:
    """What must be the same for content to count as imported before, as sql/functions/record_imports writes it."""
    return {
        "key": [column.name for column in plan.mapping.key],
        "columns": job.options.get("columns") or {},
        "constants": job.options.get("constants") or {},
    }


async def leave_out_all(context: JobContext, inputs: Inputs) -> None:
    """Write down that no file was read because of what it contains."""
    count = len(inputs.files.entries)
    none = dict.fromkeys(("added", "updated", "unchanged", "skipped", "refused"), 0)

    async def attempt(_connection: asyncpg.Connection) -> BatchResult:
        files = [{"position": place, "status": "unchanged", **none} for place in range(1, count + 1)]
        cursor = Cursor(file=count + 1)
        return BatchResult(tally=Tally(), cursor=cursor.to_json(), progress=99.99, files=files)

    await context.run_batch(attempt)


async def find_unchanged(context: JobContext, inputs: Inputs, totals: Totals) -> frozenset[int]:
    """The places of files whose content is that of the last completed import of this source into this target."""
    detected: dict[str, Any] | None = context.job.detected
    if detected is not None:
        return frozenset(detected.get("unchanged", ()))
    before = await context.files_before()
    if not before:
        return frozenset()
    hashes = await totals.hashes()
    return frozenset(
        place
        for place, (entry, found) in enumerate(zip(inputs.files.entries, hashes, strict=True), 1)
        if found is not None and before.get(entry.name) == found
    )
