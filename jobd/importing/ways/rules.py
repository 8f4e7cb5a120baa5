"""What becomes of rows that exist: which of their columns are compared, and which an update writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.errors import OptionError, TargetError
from jobd.importing.fields.names import TargetNames, normal
from jobd.model.options import Blank, OnConflict

if TYPE_CHECKING:
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.target import Target, TargetColumn
    from jobd.model.options import ImportOptions


@dataclass(frozen=True, kw_only=True)
class Resemblance:
    """From which similarity on, up to 1, another row's value of a column refuses a record."""

    column: TargetColumn
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The options about rows, for one target. What tells of a record's origin is written with every update.

    ``compared``: the columns that an update may touch; a row is unchanged when none of them differs. By name:
    ``kept``, those of them where a null of the file leaves what the row has; ``needed``, those in which a null is
    wrong for certain.
    """

    on_conflict: OnConflict
    compared: tuple[TargetColumn, ...]
    provenance: tuple[TargetColumn, ...]
    kept: frozenset[str]
    needed: frozenset[str]
    overwrites: bool
    similar: tuple[Resemblance, ...] = ()
    tracks: bool = False

    @property
    def updates(self) -> bool:
        """Whether rows that exist may be written."""
        return self.on_conflict is OnConflict.UPDATE

    @property
    def written(self) -> tuple[TargetColumn, ...]:
        """What an update writes."""
        return (*self.compared, *self.provenance) if self.updates and self.compared else ()

    @property
    def updates_parts(self) -> bool:
        """Whether a row may, after its update, have other values than its record."""
        return self.updates and not self.overwrites


def rules_of(options: ImportOptions, mapping: FieldMapping, target: Target) -> Rules:
    """Check the options about rows; raises OptionError or TargetError with the nearest names."""
    touchable = [column for column in mapping.stated if column not in mapping.key]
    compared = _compared(options, mapping, target, touchable)
    if options.track_changes and not mapping.key:
        raise OptionError("option track_changes needs a key, by which changed rows are known; the import has none")
    updates = options.on_conflict is OnConflict.UPDATE
    kept: set[str] = set()
    if options.blank is Blank.KEEP and updates and mapping.key:
        kept = {column.name for column in compared if mapping.field_of(column.name)}
    needs_none = {column.name for column in compared if column.name in kept and not column.refuses_null}
    return Rules(
        on_conflict=options.on_conflict,
        compared=compared,
        provenance=tuple(column for _, column in mapping.provenance),
        kept=frozenset(kept),
        similar=_similar(options, mapping, target),
        tracks=options.track_changes,
        overwrites=updates and not kept and len(compared) == len(touchable),
        needed=frozenset(
            column.name
            for column in mapping.columns
            if column in mapping.key or (target.refuses_null(column) and column.name not in needs_none)
        ),
    )


def _compared(
    options: ImportOptions, mapping: FieldMapping, target: Target, touchable: list[TargetColumn]
) -> tuple[TargetColumn, ...]:
    if options.update_columns is None:
        return tuple(touchable)
    if not mapping.key:
        raise OptionError("option update_columns needs a key, by which the row to be updated is found")
    chosen = set()
    for name in options.update_columns:
        column = _column("update_columns", name, options, mapping, target)
        if column in mapping.key:
            raise OptionError(
                f"option update_columns: {column.name} is part of the key, by which the row is found; an update "
                "cannot change it"
            )
        if column in touchable:
            chosen.add(column.name)
        else:
            _require_optional("update_columns", column, options)
    return tuple(column for column in touchable if column.name in chosen)


def _similar(options: ImportOptions, mapping: FieldMapping, target: Target) -> tuple[Resemblance, ...]:
    found = []
    for rule in options.similar:
        column = _column("similar", rule.column, options, mapping, target)
        if not column.is_text:
            raise OptionError(
                f"option similar: column {column.name} is {column.type_name}; texts alone can be similar"
            )
        if column in mapping.stated:
            found.append(Resemblance(column=column, threshold=rule.threshold))
        else:
            _require_optional("similar", column, options)
    if found and target.trigram_schema is None:
        raise OptionError(
            "option similar needs the extension pg_trgm, which this database lacks: create extension pg_trgm"
        )
    if found and not target.may_use_trigrams:
        raise TargetError(
            f"role {target.role_name} may not use the extension pg_trgm, which option similar needs: "
            f"grant usage on schema {target.trigram_schema} to it",
            code="no_privilege",
        )
    return tuple(found)


def _require_optional(option: str, column: TargetColumn, options: ImportOptions) -> None:
    """A column that an option names may be absent only where the file may lack it."""
    names = {normal(source) for source, wanted in options.columns.items() if normal(wanted) == normal(column.name)}
    if not {normal(column.name), *names} & {normal(each) for each in options.optional}:
        raise OptionError(
            f"option {option}: column {column.name} is filled neither by the file nor by constants",
        )


def _column(option: str, name: str, options: ImportOptions, mapping: FieldMapping, target: Target) -> TargetColumn:
    """The column of a name of the target's or of the file's."""
    columns = TargetNames(target)
    in_file = {normal(source): columns.find(wanted) for source, wanted in options.columns.items()}
    in_file |= {normal(each.source_name): each.column for each in mapping.fields}
    column = columns.find(name) or in_file.get(normal(name))
    if column is None:
        raise TargetError(
            f"option {option}: {target.name} has no column {name}{columns.near(name)}", code="unknown_column"
        )
    return column
