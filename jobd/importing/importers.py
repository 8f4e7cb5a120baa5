"""An importer for each layout that the files of a source have: the same target, other fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import TargetError
from jobd.importing.fields.field_forms import field_forms
from jobd.importing.fields.mapping import map_fields
from jobd.importing.fields.names import TargetNames, normal
from jobd.importing.fields.nulls import null_words
from jobd.importing.importer import Importer
from jobd.importing.reject_fields import RejectFields
from jobd.importing.schema.row_schema import RowSchema
from jobd.importing.ways.rules import rules_of
from jobd.model.options import Blank
from jobd.model.own_columns import is_own

if TYPE_CHECKING:
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.target import Target
    from jobd.importing.ways.rules import Rules
    from jobd.model.job import Job
    from jobd.model.options import ImportOptions
    from jobd.sources.records import Layout

LAYOUTS_MAX = 32


class Importers:
    """Made as they are needed; those that were not needed for the longest time are forgotten."""

    def __init__(
        self,
        target: Target,
        options: ImportOptions,
        job: Job,
        *,
        time_zone: str | None,
        drop_on_commit: bool,
        keeps: bool = True,
    ) -> None:
        self._job = job
        self.target = target
        self._options = options
        self._time_zone = time_zone
        # Whether all batches share one transaction: of a validation, where what becomes of a record depends on
        # more of the rows before it than that they are there.
        refers_to_itself = any(key.is_self for key in target.foreign_keys)
        needs_rows = refers_to_itself or bool(options.similar) or options.blank is Blank.KEEP
        self.is_whole = options.atomic or (not keeps and needs_rows)
        self._keeps = keeps
        self._drop_on_commit = drop_on_commit
        self._made: dict[Layout, Importer] = {}

    def serve(self, job: Job) -> None:
        """Go on for another job, of which everything but its name is the same."""
        self._job = job
        for importer in self._made.values():
            importer.serve(job)

    def of(self, layout: Layout) -> Importer:
        """The importer of such batches; raises TargetError or OptionError where the fields do not fit."""
        found = self._made.pop(layout, None) or self._make(layout)
        self._made[layout] = found
        if len(self._made) > LAYOUTS_MAX:
            del self._made[next(iter(self._made))]
        return found

    def accepts(self, name: str) -> bool:
        """Whether a field that turns up in the middle of a source has a column, so that it is to be read."""
        mapped = {normal(source): column for source, column in self._options.columns.items()}
        wanted = mapped.get(normal(name), name)
        try:
            return is_own(name) or TargetNames(self.target).find(wanted) is not None
        except TargetError:
            return False  # it may mean several columns

    @property
    def can_attribute(self) -> bool:
        """Whether it is known of each record what became of it, so that files can share a batch."""
        return all(importer.plan.can_attribute for importer in self._made.values())

    def _schema(self, mapping: FieldMapping, layout: Layout) -> RowSchema | None:
        schema = self._options.schema
        return None if schema is None else RowSchema(schema, mapping, is_json=layout.is_typed)

    def _make(self, layout: Layout) -> Importer:
        is_named = bool(layout.header)
        mapping = map_fields(layout.header if is_named else None, layout.column_count, self.target, self._options)
        rules = rules_of(self._options, mapping, self.target)
        _require_privileges(self.target, mapping, rules)
        forms = field_forms(self._options, mapping, is_typed=layout.is_typed)
        importer = Importer(
            self.target,
            mapping,
            rules=rules,
            words=null_words(self._options, mapping, is_json=layout.quotes_texts),
            forms=forms,
            rejects=RejectFields(layout, mapping, self._options, forms),
            schema=self._schema(mapping, layout),
            dialect=layout.dialect,
            job=self._job,
            time_zone=self._time_zone,
            drop_on_commit=self._drop_on_commit,
            shares_transaction=self.is_whole,
            may_go_direct=self._keeps,
        )
        if self._made:
            importer.follow(next(reversed(self._made.values())))
        return importer


def _require_privileges(target: Target, mapping: FieldMapping, rules: Rules) -> None:
    wanted = ["insert"]
    lacking = {column.name for column in mapping.columns if not column.may_insert}
    read = {*mapping.key, *(each.column for each in rules.similar)}
    if mapping.key or read:
        wanted.append("select")
        read.update(rules.compared if rules.updates else ())
        read.update(mapping.columns if rules.tracks else ())
        lacking |= {column.name for column in read if not column.may_select}
        if rules.written:
            wanted.append("update")
            lacking |= {column.name for column in rules.written if not column.may_update}
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
