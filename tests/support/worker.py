"""A worker as the database sees one, moved by the test: claims, commits and finishes when it is told to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.database import Database

ERROR_COLUMNS = (
    "row_number", "line_number", "file", "field", "error_type", "code", "message", "sqlstate", "constraint_name",
    "raw_data",
)  # fmt: skip


@dataclass
class SimulatedWorker:
    """Calls the functions that a daemon calls."""

    database: Database
    id: UUID = field(default_factory=uuid4)
    tokens: dict[UUID, int] = field(default_factory=dict)
    rows: dict[UUID, int] = field(default_factory=dict)

    async def register(self, name: str = "simulated", *, slots: int = 4, lease_seconds: float = 60) -> None:
        await self.database.execute(
            "select jobd.register_worker($1, $2, 'host', $3, '0', array['default'], $4, $5)",
            self.id,
            name,
            os.getpid(),
            slots,
            lease_seconds,
        )

    async def claim(self, limit: int = 1) -> list[UUID]:
        rows = await self.database.fetch("select * from jobd.claim($1, array['default'], $2)", self.id, limit)
        for row in rows:
            self.tokens[row["id"]] = row["lease_token"]
            self.rows[row["id"]] = row["processed_rows"]
        return [row["id"] for row in rows]

    async def begin(self, job_id: UUID, detected: dict[str, Any] | None = None, **values: Any) -> None:
        await self.database.execute(
            "select jobd.begin($1, $2, $3, p_estimated_rows => $4, p_total_rows => $5)",
            job_id,
            self.tokens[job_id],
            json.dumps(detected or {}),
            values.get("estimated_rows"),
            values.get("total_rows"),
        )

    async def commit(
        self,
        job_id: UUID,
        *,
        added: int = 0,
        updated: int = 0,
        progress: float = 50,
        errors: Sequence[dict[str, Any]] = (),
        rejects: Sequence[tuple[int, bytes]] = (),
        fields: Sequence[dict[str, str]] = (),
        file: str | None = None,
    ) -> None:
        """One batch; as many records are refused as there are rejects."""
        self.rows[job_id] += added + updated + len(rejects)
        columns = [[error.get(name) for error in errors] for name in ERROR_COLUMNS]
        await self.database.fetch(
            "select * from jobd.commit_batch("
            "$1, $2, $3, $4, 0, 0, $5, $6, $7, null, null,"
            " $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, p_reject_fields => $21)",
            job_id,
            self.tokens[job_id],
            added,
            updated,
            len(rejects),
            json.dumps({"row": self.rows[job_id]}),
            float(progress),
            *columns,
            [row for row, _ in rejects],
            [file for _ in rejects],
            [record for _, record in rejects],
            [json.dumps(each) for each in fields],
        )

    async def finish(
        self, job_id: UUID, outcome: str = "completed", code: str | None = None, message: str | None = None
    ) -> None:
        await self.database.fetch(
            "select * from jobd.finish($1, $2, $3, $4, $5, $6, $7)",
            [job_id],
            [self.tokens[job_id]],
            [outcome],
            [code],
            [message],
            [None],
            [None],
        )


def refusal(row: int, code: str = "foreign_key", **values: Any) -> dict[str, Any]:
    """A row error, with everything that a test does not care about filled in."""
    return {
        "row_number": row,
        "line_number": row + 1,
        "error_type": "validation",
        "code": code,
        "message": f"row {row} is not good enough",
        **values,
    }
