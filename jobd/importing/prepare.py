"""Everything that is decided before the first row, and frozen with the job: target, mapping, rights, constants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg

from jobd.db.queries import query
from jobd.errors import OptionError, TargetChanged, TargetError
from jobd.importing.importer import Importer
from jobd.importing.mapping import FieldMapping, MappedField, map_fields
from jobd.importing.nulls import null_words
from jobd.importing.statements import INPUT_ERROR_SINCE, reading
from jobd.importing.target import require_unchanged, resolve, signature
from jobd.model.options import OnConflict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.importing.target import Target
    from jobd.model.options import ImportOptions
    from jobd.sources import Source


async def prepare(
    connection: asyncpg.Connection,
    *,
    target_name: str,
    source: Source,
    options: ImportOptions,
    frozen: Mapping[str, Any] | None,
    drop_on_commit: bool,
) -> Importer:
    """Resolve the target and map the source's fields onto it, or check that both are as they were frozen.

    Raises TargetError, TargetChanged or OptionError. Writes nothing.
    """
    try:
        target = await resolve(connection, target_name)
    except TargetError as error:
        if frozen is not None and error.error_code == "target_missing":
            raise TargetChanged(f"{target_name} is gone: {error}") from error
        raise
    if frozen is None:
        has_names = options.header is not False or not _is_csv(source)
        mapping = map_fields(source.header if has_names else None, source.column_count, target, options)
    else:
        mapping = _as_frozen(frozen, target, options)
    _require_privileges(target, mapping, options)
    await _require_valid_constants(connection, target, mapping)
    found = await signature(connection, target, mapping.columns, mapping.key)
    if frozen is not None:
        await require_unchanged(connection, target, mapping.columns, mapping.key, frozen["signature"])
    importer = Importer(
        target,
        mapping,
        found,
        on_conflict=options.on_conflict,
        words=null_words(options, mapping, is_json=not _is_csv(source)),
        dialect=source.dialect,
        file=source.name,
        drop_on_commit=drop_on_commit,
    )
    if mapping.key and target.may_select:
        is_empty = await connection.fetchval(importer.plan.statements.is_empty)
        importer.begin_with(is_target_empty=bool(is_empty))
    return importer


def freeze(importer: Importer) -> dict[str, Any]:
    """What ``prepare`` takes as ``frozen`` when the job continues; shown in ``job.detected``."""
    plan = importer.plan
    return {
        "target": plan.target.name,
        "oid": plan.target.oid,
        "signature": plan.signature,
        "fields": [[each.position, each.source_name, each.column.name] for each in plan.mapping.fields],
        "key": [column.name for column in plan.mapping.key],
        "key_index": plan.mapping.key_index,
    }


def _as_frozen(frozen: Mapping[str, Any], target: Target, options: ImportOptions) -> FieldMapping:
    """The mapping of the first start: columns that were added since are not looked at."""
    if target.oid != frozen["oid"]:
        raise TargetChanged(f"{target.name} is not the table that the job began with: it was dropped or replaced")
    columns = {column.name: column for column in target.columns}
    fields = frozen["fields"]
    used = [*(name for _, _, name in fields), *frozen["key"]]
    gone = [name for name in used if name not in columns]
    index = next((each for each in target.indexes if each.is_plain and each.name == frozen["key_index"]), None)
    if gone or (frozen["key"] and index is None):
        lost = f"column {gone[0]}" if gone else f"the unique index {frozen['key_index']}"
        raise TargetChanged(f"{target.name} has lost {lost} since the job began; mend that, then retry the job")
    mapped = map_fields(
        [name for _, name, _ in fields],
        len(fields),
        target,
        replace(
            options, columns={source: column for _, source, column in fields}, key=tuple(frozen["key"]) or None
        ),
    )
    return FieldMapping(
        fields=tuple(
            MappedField(position=position, source_name=source, column=columns[name])
            for position, source, name in fields
        ),
        constants=mapped.constants,
        key=tuple(columns[name] for name in frozen["key"]),
        key_index=frozen["key_index"],
    )


def _is_csv(source: Source) -> bool:
    return bool(source.detected["format"] != "jsonl")


def _require_privileges(target: Target, mapping: FieldMapping, options: ImportOptions) -> None:
    wanted = ["insert"]
    lacking = {column.name for column in mapping.columns if not column.may_insert}
    if mapping.key:
        wanted.append("select")
        lacking |= {column.name for column in mapping.columns if not column.may_select}
        if options.on_conflict is OnConflict.UPDATE:
            wanted.append("update")
            key = set(mapping.key)
            lacking |= {column.name for column in mapping.columns if column not in key and not column.may_update}
    if lacking:
        raise TargetError(
            f"role {target.role_name} may not do all of {', '.join(wanted)} with {', '.join(sorted(lacking))} of "
            f"{target.name}: grant {', '.join(wanted)} on {target.quoted_name} to it",
            code="no_privilege",
        )
    if not target.may_stage:
        raise TargetError(
            f"role {target.role_name} may not make temporary tables in this database, which imports need: "
            "grant temporary on the database to it",
            code="no_privilege",
        )


async def _require_valid_constants(connection: asyncpg.Connection, target: Target, mapping: FieldMapping) -> None:
    for column, text in mapping.constants:
        if text is None:
            if column in mapping.key or target.refuses_null(column):
                raise OptionError(f"option constants: column {column.name} must not be null")
            continue
        if target.server_version < INPUT_ERROR_SINCE:
            try:
                await connection.fetchval(reading(column), text)
            except asyncpg.PostgresError as error:
                raise OptionError(f"option constants: {text!r} cannot be column {column.name}: {error}") from error
            continue
        found = await connection.fetchrow(query("import_input_error"), text, column.type_name)
        if found is not None and found["message"] is not None:
            raise OptionError(f"option constants: {text!r} cannot be column {column.name}: {found['message']}")
