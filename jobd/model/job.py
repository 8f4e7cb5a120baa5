"""A job as its row says it is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import orjson

from jobd.model.status import JobStatus, JobType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

_JSON_COLUMNS = ("options", "metadata", "cursor", "result", "detected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of ``jobd.job``; the columns are described in ``sql/README.md``."""

    id: UUID
    job_type: JobType
    queue: str
    priority: str
    status: JobStatus
    version: int
    serial_key: str | None
    run_at: datetime
    source: str | None
    source_type: str | None
    filename: str | None
    file_hash: str | None
    target: str | None
    handler: str | None
    options: dict[str, Any]
    metadata: dict[str, Any]
    created_by: str | None
    tenant: str | None
    related_dataset_id: UUID | None
    idempotency_key: str | None
    estimated_rows: int | None
    max_retries: int
    batch_id: UUID | None
    after: list[UUID] | None
    cancel_requested: bool
    pause_requested: bool
    retry_count: int
    interrupt_count: int
    lost_lease_count: int
    duplicate_of: UUID | None
    parent_id: UUID | None
    total_rows: int | None
    processed_rows: int
    success_count: int
    error_count: int
    items_added: int
    items_updated: int
    items_unchanged: int
    items_skipped: int
    items_removed: int
    errors_not_stored: int
    progress: float
    files_total: int | None
    files_done: int
    current_file: str | None
    cursor: dict[str, Any] | None
    detected: dict[str, Any] | None
    result: Any
    error_code: str | None
    error_message: str | None
    waiting_reason: str | None
    worker_id: UUID | None
    lease_token: int
    cancellation_reason: str | None
    submitted_role: str
    submitted_role_oid: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    paused_at: datetime | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Build a job from a database row; columns of a newer schema are passed over.

        JSON columns may come as text, as drivers give them by default, or decoded already.
        """
        values = {name: row[name] for name in _FIELD_NAMES}
        for name in _JSON_COLUMNS:
            if isinstance(values[name], str | bytes):
                values[name] = orjson.loads(values[name])
        values["progress"] = float(values["progress"])
        values["job_type"] = JobType(values["job_type"])
        values["status"] = JobStatus(values["status"])
        return cls(**values)


_FIELD_NAMES = tuple(field.name for field in fields(Job))
