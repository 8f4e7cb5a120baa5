"""Which field of a record goes into which column of the target."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from jobd.errors import OptionError, TargetError
from jobd.importing.fields.key import key_of
from jobd.importing.fields.names import TargetNames, listed, normal
from jobd.importing.fields.provenance import origin_columns
from jobd.model.own_columns import OWN_PREFIX, is_own
from jobd.sources.records import REST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.fields.prefix import Origin
    from jobd.importing.target import Target, TargetColumn
    from jobd.model.options import ImportOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedField:
    """A field of the file, by its position in the record, and the column it goes into.

    ``is_rest``: it holds the surplus values of long records.
    """

    position: int
    source_name: str
    column: TargetColumn
    is_rest: bool = False


@dataclass(frozen=True, kw_only=True)
class FieldMapping:
    """Everything that is written of a record: constants, its origin, then the file's fields in the file's order.

    ``key`` is empty where every record is added.
    """

    fields: tuple[MappedField, ...]
    constants: tuple[tuple[TargetColumn, str | None], ...]
    key: tuple[TargetColumn, ...]
    key_index: str | None
    provenance: tuple[tuple[Origin, TargetColumn], ...] = ()

    @cached_property
    def columns(self) -> tuple[TargetColumn, ...]:
        """The columns that are written, in the order in which records are sent."""
        origins = (column for _, column in self.provenance)
        return (*(column for column, _ in self.constants), *origins, *(each.column for each in self.fields))

    @cached_property
    def stated(self) -> tuple[TargetColumn, ...]:
        """The columns that the file and the constants fill."""
        return (*(column for column, _ in self.constants), *(each.column for each in self.fields))

    def field_of(self, column_name: str) -> MappedField | None:
        """The file's field that goes into a column; None for a constant."""
        return self._by_column.get(column_name)

    @cached_property
    def _by_column(self) -> dict[str, MappedField]:
        return {each.column.name: each for each in self.fields}

    def to_json(self) -> dict[str, Any]:
        """What is shown of it in ``job.detected``."""
        return {
            "columns": {each.source_name: each.column.name for each in self.fields},
            "constants": [column.name for column, _ in self.constants],
            "provenance": {origin: column.name for origin, column in self.provenance},
            "key": [column.name for column in self.key],
        }


def map_fields(
    header: Sequence[str] | None, field_count: int, target: Target, options: ImportOptions
) -> FieldMapping:
    """Find a column for every field and check that nothing needed is missing.

    ``header`` is None where fields go by position onto the target's columns. Raises TargetError or OptionError
    with the header and the nearest names.
    """
    fields = _by_position(field_count, target, options) if header is None else _by_name(header, target, options)
    constants = _constants(fields, target, options)
    mapped = {*(each.column.name for each in fields), *(column.name for column, _ in constants)}
    provenance = origin_columns(mapped, target, options)
    filled = mapped | {column.name for _, column in provenance}
    _require_writable([target.column(name) for name in sorted(filled)], target)
    key, index = key_of(mapped, target, options)
    _require_complete(filled, target, header, fields)
    return FieldMapping(
        fields=tuple(fields), constants=tuple(constants), provenance=provenance, key=key, key_index=index
    )


def _rest_column(target: Target, options: ImportOptions) -> TargetColumn | None:
    if options.rest is None:
        return None
    columns = TargetNames(target)
    column = columns.find(options.rest)
    if column is None:
        raise TargetError(
            f"option rest: {target.name} has no column {options.rest}{columns.near(options.rest)}",
            code="unknown_column",
        )
    return column


def _by_position(field_count: int, target: Target, options: ImportOptions) -> list[MappedField]:
    rest = _rest_column(target, options)
    columns = [
        column
        for column in target.columns
        if not column.is_generated and not column.identity and column is not rest
    ]
    if options.columns:
        raise OptionError("option columns names the file's columns, but header: false says that it names none")
    own_count = field_count - (rest is not None)
    if own_count > len(columns):
        names = ", ".join(column.name for column in columns)
        hint = "" if rest is None else ". Its first record says how many, and may have no surplus values"
        raise TargetError(
            f"the file has {own_count} columns and no header, {target.name} takes {len(columns)}: {names}{hint}",
            code="unknown_column",
        )
    fields = [
        MappedField(position=position, source_name=column.name, column=column)
        for position, column in enumerate(columns[:own_count])
    ]
    if rest is not None:
        fields.append(MappedField(position=own_count, source_name=rest.name, column=rest, is_rest=True))
    return fields


def _by_name(header: Sequence[str], target: Target, options: ImportOptions) -> list[MappedField]:
    named = {normal(source): column for source, column in options.columns.items()}
    columns = TargetNames(target)
    rest = _rest_column(target, options)
    fields: list[MappedField] = []
    unknown: list[str] = []
    _require_different([name for name in header if not is_own(name)], columns)
    for position, name in enumerate(header):
        if is_own(name):
            continue
        is_collected = name == REST and rest is not None
        wanted = options.rest if is_collected else options.columns.get(name) or named.get(normal(name))
        column = columns.find(wanted or name)
        if column is not None:
            # What a mended file has of the surplus values stands under the column's own name.
            is_rest = column is rest
            source = column.name if is_collected else name
            fields.append(MappedField(position=position, source_name=source, column=column, is_rest=is_rest))
        elif wanted is not None:
            raise TargetError(
                f"option columns: {target.name} has no column {wanted}{columns.near(wanted)}",
                code="unknown_column",
            )
        else:
            unknown.append(name)
    if unknown and not options.ignore_unknown:
        near = "; ".join(f"{name!r}{columns.near(name)}" for name in unknown)
        raise TargetError(
            f"{target.name} has no column for {near}. The file's header: {listed(header)}. Map the column with "
            "option columns, or pass over it with ignore_unknown",
            code="unknown_column",
        )
    _require_single_source(fields, header)
    _require_sources(fields, header, target, options)
    return fields


def _require_different(header: Sequence[str], columns: TargetNames) -> None:
    exact = Counter(header)
    forms = Counter(normal(name) for name in header)
    repeated = [name for name in exact if exact[name] > 1]
    # Names that differ by case only are two names where the target has a column for each.
    repeated += [
        name for name in exact if exact[name] == 1 and forms[normal(name)] > 1 and not columns.find_exactly(name)
    ]
    if repeated:
        raise TargetError(
            f"the file's header names {listed(repeated)} more than once: {listed(header)}", code="repeated_column"
        )


def _require_single_source(fields: Sequence[MappedField], header: Sequence[str]) -> None:
    sources: dict[str, list[str]] = {}
    for each in fields:
        sources.setdefault(each.column.name, []).append(each.source_name)
    for column, names in sources.items():
        if len(names) > 1:
            raise TargetError(
                f"{listed(names)} of the file would all go into column {column}; exactly one of them may be "
                f"present. The file's header: {listed(header)}",
                code="repeated_column",
            )


def _require_sources(
    fields: Sequence[MappedField], header: Sequence[str], target: Target, options: ImportOptions
) -> None:
    """A mapped column that the file lacks is an error unless optional, or another name of it is there."""
    present = {normal(each.source_name) for each in fields if not each.is_rest}
    filled = {each.column.name for each in fields}
    optional = {normal(name) for name in options.optional}
    columns = TargetNames(target)
    for source, wanted in options.columns.items():
        column = columns.find(wanted)
        if column is None:
            raise TargetError(
                f"option columns: {target.name} has no column {wanted}{columns.near(wanted)}",
                code="unknown_column",
            )
        if normal(source) in present or column.name in filled or optional & {normal(source), normal(wanted)}:
            continue
        near = difflib.get_close_matches(normal(source), [normal(name) for name in header], 3, 0.6)
        hint = f" (nearest: {', '.join(near)})" if near else ""
        raise TargetError(
            f"the file has no column {source!r}{hint}, which option columns maps to {wanted}. "
            f"The file's header: {listed(header)}",
            code="missing_column",
        )


def _constants(
    fields: Sequence[MappedField], target: Target, options: ImportOptions
) -> list[tuple[TargetColumn, str | None]]:
    columns = TargetNames(target)
    mapped = {each.column.name for each in fields}
    constants: list[tuple[TargetColumn, str | None]] = []
    for name, value in options.constants.items():
        column = columns.find(name)
        if column is None:
            raise TargetError(
                f"option constants: {target.name} has no column {name}{columns.near(name)}", code="unknown_column"
            )
        if column.name in mapped:
            raise OptionError(f"option constants: column {column.name} is filled more than once")
        mapped.add(column.name)
        constants.append((column, _constant_text(value)))
    return constants


def _constant_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _require_writable(columns: Sequence[TargetColumn], target: Target) -> None:
    for column in columns:
        if column.is_generated:
            raise TargetError(
                f"column {column.name} of {target.name} is generated and cannot be written",
                code="column_not_writable",
            )
        if column.name.startswith(OWN_PREFIX):
            raise TargetError(
                f"column {column.name} of {target.name} has a name that jobd keeps for itself ({OWN_PREFIX}…) and "
                "cannot be written; rename it, or leave it out of the mapping",
                code="column_not_writable",
            )


def _require_complete(
    mapped: set[str], target: Target, header: Sequence[str] | None, fields: Sequence[MappedField]
) -> None:
    if not fields:
        raise TargetError(f"the file has no column for {target.name}", code="missing_column")
    if target.has_before_row_triggers:
        return  # a trigger may fill what the file lacks
    missing = [column.name for column in target.columns if column.is_required and column.name not in mapped]
    if missing:
        names = [each.source_name for each in fields] if header is None else header
        raise TargetError(
            f"{target.name} needs a value for {listed(missing)}, and the file has none. "
            f"The file's header: {listed(names)}",
            code="missing_column",
        )
