"""Refused records, as an application that knows only SQL gets them, and people who mend them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from tests.support.importing import Imported

_FIELD = re.compile(r'("(?:[^"]|"")*"|[^,\n]*)([,\n])')
Row = dict[str, str]


async def keep_refused(
    connection: asyncpg.Connection, imported: Imported, options: Mapping[str, Any] | None = None
) -> UUID:
    """Write a job's errors and refused records down, as its batches do; gives the job's id."""
    job_id = uuid4()
    files = len(imported.begun.get("files") or [None])
    await connection.execute("alter table jobd.job disable trigger user")
    await connection.execute(
        "insert into jobd.job (id, source, target, submitted_role, submitted_role_oid, files_total, options)"
        " values ($1, 'x', 'public.x', 'postgres', 10, $2, $3::text::jsonb)",
        job_id,
        files,
        json.dumps(options or {}),
    )
    await connection.execute("alter table jobd.job enable trigger user")
    names = ("row_number", "line_number", "file", "field", "error_type", "code", "message", "sqlstate",
             "constraint_name", "raw_data")  # fmt: skip
    columns = [[getattr(error, name) for error in imported.errors] for name in names]
    await connection.execute("select jobd.record_errors($1, 10, 0, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                             job_id, *columns)  # fmt: skip
    rejects = imported.rejects
    await connection.execute(
        "select jobd.record_rejects($1, 10, 0, $2, $3, $4, $5)",
        job_id,
        [reject.row_number for reject in rejects],
        [reject.file for reject in rejects],
        [reject.record for reject in rejects],
        [reject.fields for reject in rejects],
    )
    return job_id


async def refused_csv(connection: asyncpg.Connection, job_id: UUID, **arguments: Any) -> str:
    """The refused records of a job, as one text."""
    named = "".join(f", {name} => ${place}" for place, name in enumerate(arguments, 2))
    query = f"select string_agg(line, '') from jobd.rejects_csv($1{named})"
    return str(await connection.fetchval(query, job_id, *arguments.values()))


def rows_of(text: str) -> list[Row]:
    """The lines by their columns, each value with its quotes, if it has any."""
    header, *lines = _lines(text)
    names = [value_of(name) for name in header]
    return [dict(zip(names, line, strict=True)) for line in lines]


def csv_of(rows: list[Row]) -> str:
    """The text again."""
    lines = [[f'"{name}"' for name in rows[0]], *(row.values() for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


def value_of(field: str) -> str:
    """What a field says, without its quotes."""
    return field[1:-1].replace('""', '"') if field.startswith('"') else field


def mended(text: str, mends: Mapping[int, Row]) -> str:
    """The text with other values in the rows of these numbers."""
    rows = rows_of(text)
    assert [int(row["_jobd_row"]) for row in rows] == list(mends)
    return csv_of([{**row, **mends[int(row["_jobd_row"])]} for row in rows])


def _lines(text: str) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    end = 0
    for found in _FIELD.finditer(text):
        assert found.start() == end
        end = found.end()
        lines[-1].append(found[1])
        if found[2] == "\n":
            lines.append([])
    assert end == len(text)
    assert lines.pop() == []
    return lines
