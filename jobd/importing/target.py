"""The target table as an import must know it: resolved once, by PostgreSQL, with the submitter's eyes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from jobd.db.queries import query
from jobd.errors import TargetChanged, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = {
    "v": "a view",
    "m": "a materialised view",
    "f": "a foreign table",
    "i": "an index",
    "S": "a sequence",
    "c": "a composite type",
}
_REASONS_TO_REFUSE = frozenset({"kind", "has_rules", "is_of_system", "is_temporary"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetColumn:
    """One column. ``quoted_name``, ``type_name`` and ``equality`` are SQL as PostgreSQL printed it.

    ``base_type`` is what the type is beneath its domains, without a modifier; ``element_type`` that of an array.
    ``is_equality_exact``: the equality is one of this very type's, so that no search_path can lead to another.
    """

    attnum: int
    name: str
    quoted_name: str
    type_name: str
    type_oid: int
    type_modifier: int
    is_text: bool
    base_type: str
    is_composite: bool
    element_type: str | None
    is_not_null: bool
    refuses_null: bool
    has_default: bool
    is_generated: bool
    identity: str
    has_collation: bool
    collation_name: str | None
    equality: str | None
    is_equality_exact: bool
    may_select: bool
    may_insert: bool
    may_update: bool

    @property
    def is_required(self) -> bool:
        """Whether a new row cannot do without a value for it."""
        return (self.is_not_null or self.refuses_null) and not self.has_default and not self.is_generated


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueIndex:
    """A unique index or an exclusion constraint."""

    name: str
    is_primary: bool
    are_nulls_equal: bool
    is_plain: bool
    columns: tuple[str, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A reference to another table."""

    name: str
    is_full: bool
    is_self: bool
    referenced_name: str
    referenced: str
    is_checkable: bool
    columns: tuple[str, ...]
    referenced_columns: tuple[str, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A CHECK constraint; ``expression`` names the columns unqualified."""

    name: str
    expression: str
    is_checkable: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A table that rows can be put into."""

    oid: int
    name: str
    quoted_name: str
    role_name: str
    server_version: int
    may_select: bool
    may_stage: bool
    has_row_security: bool
    trigram_schema: str | None
    may_use_trigrams: bool | None
    has_before_row_triggers: bool
    may_lack_partition: bool
    is_deferrable: bool
    columns: tuple[TargetColumn, ...]
    indexes: tuple[UniqueIndex, ...]
    foreign_keys: tuple[ForeignKey, ...]
    checks: tuple[Check, ...]

    def column(self, name: str) -> TargetColumn:
        """The column of exactly this name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def primary_key(self) -> list[TargetColumn]:
        """Its columns; empty where there is none."""
        index = next((index for index in self.indexes if index.is_primary and index.is_plain), None)
        return [] if index is None else [self.column(name) for name in index.columns]

    def refuses_null(self, column: TargetColumn) -> bool:
        """Whether a null in the column is wrong for certain; a trigger may still fill a NOT NULL column."""
        return column.refuses_null or (column.is_not_null and not self.has_before_row_triggers)


async def resolve(connection: asyncpg.Connection, name: str) -> Target:
    """Look a target up; raises TargetError for what is no table that rows can be put into.

    Runs inside a transaction. The name may be qualified; without a schema it is looked for in ``public``.
    """
    try:
        await connection.execute("set local search_path = pg_catalog, public, pg_temp")
        relation = await connection.fetchrow(query("import_target_relation"), name)
    except asyncpg.InsufficientPrivilegeError as error:
        raise TargetError(f"target {name}: {error}", code="no_privilege") from error
    except (asyncpg.InvalidNameError, asyncpg.PostgresSyntaxError, asyncpg.FeatureNotSupportedError) as error:
        raise TargetError(f"target {name!r} is no name of a table: {error}; write schema.table") from error
    if relation is None:
        raise await _missing(connection, name)
    _require_table(relation)
    await connection.execute("set local search_path = pg_catalog, pg_temp")
    oid = relation["oid"]
    columns = await connection.fetch(query("import_target_columns"), oid)
    indexes = await connection.fetch(query("import_target_indexes"), oid)
    foreign_keys = await connection.fetch(query("import_target_foreign_keys"), oid)
    checks = await connection.fetch(query("import_target_checks"), oid)
    facts = {key: value for key, value in relation.items() if key not in _REASONS_TO_REFUSE}
    return Target(
        **facts,
        columns=tuple(TargetColumn(**row) for row in columns),
        indexes=tuple(UniqueIndex(**_tuples(row)) for row in indexes),
        foreign_keys=tuple(ForeignKey(**_tuples(row)) for row in foreign_keys),
        checks=tuple(Check(**_tuples(row)) for row in checks),
    )


def signature_of(columns: Sequence[TargetColumn]) -> str:
    """What :func:`signature` gives as long as these columns are as they are."""
    return ", ".join(f"{column.quoted_name} {column.type_oid} {column.type_modifier}" for column in columns)


async def signature(
    connection: asyncpg.Connection, target: Target, columns: Sequence[TargetColumn], key: Sequence[TargetColumn]
) -> str:
    """Names and types of the columns in use; raises TargetChanged when the name leads elsewhere by now.

    Run after the batch's rows were written, the answer holds until the transaction ends: their lock keeps
    everybody from altering the table.
    """
    row = await connection.fetchrow(
        query("import_target_signature"),
        target.quoted_name,
        target.oid,
        [column.attnum for column in columns],
        sorted(column.attnum for column in key),
    )
    assert row is not None  # noqa: S101  an aggregate without GROUP BY gives one row
    if not row["is_same"]:
        raise TargetChanged(
            f"{target.name} is not the table that the job began with: it was dropped, renamed or replaced"
        )
    if not row["is_key_unique"]:
        names = ", ".join(column.name for column in key)
        raise TargetChanged(f"{target.name} has lost its unique index on the key ({names}) since the job began")
    return str(row["signature"] or "")


async def require_unchanged(
    connection: asyncpg.Connection,
    target: Target,
    columns: Sequence[TargetColumn],
    key: Sequence[TargetColumn],
    expected: str,
) -> None:
    """Raise TargetChanged unless the name still leads to this table and the columns in use are as they were."""
    found = await signature(connection, target, columns, key)
    if found != expected:
        raise TargetChanged(
            f"columns of {target.name} that the job uses were changed since it began: they were ({expected}) and "
            f"are ({found}) now; undo that, then retry the job"
        )


def _tuples(row: asyncpg.Record) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _require_table(relation: asyncpg.Record) -> None:
    name = relation["name"]
    if relation["is_of_system"]:
        raise TargetError(
            f"target {name} is one of PostgreSQL's or jobd's own tables, which no import may write; "
            "name a table of your own"
        )
    if relation["is_temporary"]:
        raise TargetError(f"target {name} is a temporary table, which is gone before its rows could be read")
    if relation["kind"] not in {"r", "p"}:
        kind = _KINDS.get(relation["kind"], "no table")
        raise TargetError(
            f"target {name} is {kind}; rows can be imported into ordinary and partitioned tables only"
        )
    if relation["has_rules"]:
        raise TargetError(f"target {name} has rewrite rules, which an import cannot honour; use triggers instead")


async def _missing(connection: asyncpg.Connection, name: str) -> TargetError:
    known = [row["name"] for row in await connection.fetch(query("import_target_nearest"))]
    near = difflib.get_close_matches(name if "." in name else f"public.{name}", known, 3, 0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return TargetError(f"there is no table {name}{hint}", code="target_missing")
