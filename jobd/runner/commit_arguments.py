"""A batch's result as the parameters of ``jobd.commit_batch``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from jobd.model.row_error import STORED_MAX

if TYPE_CHECKING:
    from jobd.runner.context import BatchResult
    from jobd.runner.held import HeldJob


def commit_arguments(held: HeldJob, result: BatchResult, error_count: int) -> list[object]:
    """The parameters of jobd.commit_batch, in its order.

    What will not be stored is not sent: of errors beyond the limit the groups alone.
    """
    tally, errors = result.tally, result.errors
    room = max(0, STORED_MAX - error_count)
    rejects = result.rejects[:room]
    stored = len(errors)
    if stored > room:
        records = list(dict.fromkeys((error.file, error.row_number) for error in errors))
        beyond = set(records[room:])
        stored = sum((error.file, error.row_number) not in beyond for error in errors)
    rows, lines, types, codes, messages, fields, files, sqlstates, constraints, raws = (
        zip(*errors, strict=True) if errors else ((),) * 10
    )
    reject_rows, records_, reject_files, reject_fields = zip(*rejects, strict=True) if rejects else ((),) * 4
    return [
        held.job.id,
        held.lease_token,
        tally.added,
        tally.updated,
        tally.unchanged,
        tally.skipped,
        tally.refused,
        orjson.dumps(result.cursor).decode(),
        result.progress,
        result.total_rows,
        result.current_file,
        rows,
        lines[:stored],
        _of_all(files),
        fields,
        types[:stored],
        codes,
        messages[:stored],
        sqlstates[:stored],
        constraints[:stored] if any(constraints) else (),
        raws[:stored],
        reject_rows,
        _of_all(reject_files),
        records_,
        orjson.dumps(result.files).decode() if result.files else None,
        reject_fields,
    ]


def _of_all(files: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """One file for all, where it is one."""
    return files[:1] if len(set(files)) == 1 else files
