"""Everything that is decided before the first row, and frozen with the job: target, key, rights, constants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
from anyio import to_thread

from jobd.db.queries import query
from jobd.errors import OptionError, TargetChanged, TargetError
from jobd.importing.fields.prefix import Origin
from jobd.importing.importers import Importers
from jobd.importing.target import require_unchanged, resolve
from jobd.importing.time_zone import known_time_zone, set_time_zone
from jobd.importing.ways.statements import INPUT_ERROR_SINCE, reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.importer import Importer
    from jobd.importing.target import Target, TargetColumn
    from jobd.model.job import Job
    from jobd.model.options import ImportOptions
    from jobd.sources.records import Layout

# A column of row numbers must have room for a large file's.
ROW_NUMBER_ROOM = 1_000_000_000


async def prepare(
    connection: asyncpg.Connection,
    *,
    target_name: str,
    layout: Layout,
    options: ImportOptions,
    frozen: Mapping[str, Any] | None,
    job: Job,
    drop_on_commit: bool,
    keeps: bool = True,
) -> Importers:
    """Resolve the target and map the fields of ``layout`` onto it, or check that both are as they were frozen.

    ``keeps``: False for a validation. Raises TargetError, TargetChanged or OptionError. Writes nothing.
    """
    try:
        target = await resolve(connection, target_name)
    except TargetError as error:
        if frozen is not None and error.error_code == "target_missing":
            raise TargetChanged(f"{target_name} is gone: {error}") from error
        raise
    if frozen is not None:
        target, options = _as_frozen(frozen, target, options)
    time_zone = None
    if options.time_zone is not None:
        time_zone = await known_time_zone(connection, options.time_zone)
        await set_time_zone(connection, time_zone)
    # In a thread, since a large schema takes its time.
    importers = Importers(target, options, job, time_zone=time_zone, drop_on_commit=drop_on_commit, keeps=keeps)
    first = await to_thread.run_sync(importers.of, layout)
    plan = first.plan
    await _require_valid_constants(connection, target, plan.mapping)
    await _require_valid_provenance(connection, target, plan.mapping, job)
    await require_unchanged(connection, target, plan.mapping.columns, plan.mapping.key, plan.signature)
    if plan.mapping.key and target.may_select:
        is_empty = await connection.fetchval(plan.statements.is_empty)
        first.begin_with(is_target_empty=bool(is_empty))
    return importers


def freeze(importer: Importer) -> dict[str, Any]:
    """What ``prepare`` takes as ``frozen`` when the job continues; shown in ``job.detected``."""
    plan = importer.plan
    return {
        "target": plan.target.name,
        "oid": plan.target.oid,
        "columns": [[column.name, column.type_oid, column.type_modifier] for column in plan.target.columns],
        "fields": [[each.position, each.source_name, each.column.name] for each in plan.mapping.fields],
        "key": [column.name for column in plan.mapping.key],
        "key_index": plan.mapping.key_index,
    }


def _as_frozen(frozen: Mapping[str, Any], target: Target, options: ImportOptions) -> tuple[Target, ImportOptions]:
    """The target and the key of the first start: columns that were added since are not looked at."""
    if target.oid != frozen["oid"]:
        raise TargetChanged(f"{target.name} is not the table that the job began with: it was dropped or replaced")
    present = {column.name: column for column in target.columns}
    used = [*(name for _, _, name in frozen["fields"]), *frozen["key"]]
    gone = [name for name in used if name not in present]
    index = next((each for each in target.indexes if each.is_plain and each.name == frozen["key_index"]), None)
    if gone or (frozen["key"] and index is None):
        lost = f"column {gone[0]}" if gone else f"the unique index {frozen['key_index']}"
        raise TargetChanged(f"{target.name} has lost {lost} since the job began; mend that, then retry the job")
    for name, type_oid, type_modifier in frozen["columns"]:
        column = present.get(name)
        if column is not None and name in used and (column.type_oid, column.type_modifier) != (
            type_oid, type_modifier,
        ):  # fmt: skip
            raise TargetChanged(
                f"column {name} of {target.name} has another type since the job began: it is {column.type_name} "
                "now; undo that, then retry the job"
            )
    known = {name for name, _, _ in frozen["columns"]}
    columns = tuple(column for column in target.columns if column.name in known)
    return replace(target, columns=columns), replace(options, key=tuple(frozen["key"]))


async def _require_valid_constants(connection: asyncpg.Connection, target: Target, mapping: FieldMapping) -> None:
    for column, text in mapping.constants:
        if text is None:
            if column in mapping.key or target.refuses_null(column):
                raise OptionError(f"option constants: column {column.name} must not be null")
            continue
        problem = await _input_error(connection, target, column, text)
        if problem is not None:
            raise OptionError(f"option constants: {text!r} cannot be column {column.name}: {problem}")


async def _require_valid_provenance(
    connection: asyncpg.Connection, target: Target, mapping: FieldMapping, job: Job
) -> None:
    for origin, column in mapping.provenance:
        match origin:
            case Origin.JOB_ID:
                text = str(job.id)
            case Origin.IMPORTED_AT:
                text = await connection.fetchval(query("import_time"))
            case Origin.FILE:
                text = job.source or ""
            case Origin.ROW_NUMBER:
                text = str(ROW_NUMBER_ROOM)
        problem = await _input_error(connection, target, column, text)
        if problem is not None:
            raise OptionError(
                f"option provenance: column {column.name} is {column.type_name}, which cannot hold {origin}: "
                f"{problem}"
            )


async def _input_error(
    connection: asyncpg.Connection, target: Target, column: TargetColumn, text: str
) -> str | None:
    """Why a text is no value of a column's type."""
    if target.server_version < INPUT_ERROR_SINCE:
        try:
            await connection.fetchval(reading(column), text)
        except asyncpg.PostgresError as error:
            return str(error)
        return None
    found = await connection.fetchrow(query("import_input_error"), text, column.type_name)
    return None if found is None else found["message"]
