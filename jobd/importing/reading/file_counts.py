"""What a batch did with each file, as ``jobd.record_files`` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.model.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.ways.work import Work
    from jobd.sources import RecordBatch


def file_counts(batch: RecordBatch, work: Work | None) -> list[dict[str, Any]]:
    """One entry for each file that has records in the batch, or ended before its cursor."""
    counts = [
        _entry(end.file, end.status, Tally(), error_code=end.error_code, error_message=end.error_message)
        for end in batch.ended
    ]
    spans = batch.spans if work is None else work.arranged.original.spans
    for span, tally in zip(spans, _tallies(batch, work), strict=True):
        status = "completed" if span.is_ended else "running"
        counts.append(_entry(span.file, status, tally, detected=span.detected))
    # A file that broke off behind its last record is named twice: what it ended as counts.
    ended = {end.file for end in batch.ended}
    return [each for each in counts if each["status"] != "running" or each["position"] not in ended]


def _tallies(batch: RecordBatch, work: Work | None) -> Sequence[Tally]:
    if work is None:
        return [Tally() for _ in batch.spans]
    return work.tallies_by_span()


def _entry(position: int, status: str, tally: Tally, **more: Any) -> dict[str, Any]:
    return {
        "position": position,
        "status": status,
        "added": tally.added,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "skipped": tally.skipped,
        "refused": tally.refused,
        **{name: value for name, value in more.items() if value is not None},
    }
