"""Brings batches into the target, each by the fastest way that gives the right result."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg

from jobd.db.queries import query
from jobd.importing.codes import as_failure
from jobd.importing.fields.arrange import Arranger
from jobd.importing.fields.prefix import Origin
from jobd.importing.refusals import Refusals
from jobd.importing.rejected import RejectedRecords
from jobd.importing.target import require_unchanged, signature_of
from jobd.importing.time_zone import set_time_zone
from jobd.importing.ways.alone_statements import AloneStatements
from jobd.importing.ways.change_statements import ChangeStatements
from jobd.importing.ways.changes import begin_changes, record_changes
from jobd.importing.ways.course import Course
from jobd.importing.ways.direct import TakeStagedWay, bring_in_directly
from jobd.importing.ways.row_statements import RowStatements
from jobd.importing.ways.staged import bring_in_staged
from jobd.importing.ways.statements import Statements
from jobd.importing.ways.work import Plan, Work
from jobd.model.row_error import STORED_MAX

if TYPE_CHECKING:
    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.fields.nulls import NullWords
    from jobd.importing.fields.values import FieldForms
    from jobd.importing.reject_fields import RejectFields
    from jobd.importing.schema.row_schema import RowSchema
    from jobd.importing.target import Target
    from jobd.importing.ways.rules import Rules
    from jobd.model.job import Job
    from jobd.sources import CopyDialect, RecordBatch


class Importer:
    """One import's way into its target. Holds nothing of a batch: an attempt may be repeated at any time.

    ``shares_transaction``: batches are not committed one by one, so that staging tables outlive them.
    """

    def __init__(
        self,
        target: Target,
        mapping: FieldMapping,
        *,
        rules: Rules,
        words: NullWords,
        forms: FieldForms,
        rejects: RejectFields,
        schema: RowSchema | None = None,
        dialect: CopyDialect,
        job: Job,
        time_zone: str | None = None,
        drop_on_commit: bool = False,
        shares_transaction: bool = False,
        may_go_direct: bool = True,
    ) -> None:
        # The token is random, since code of the submitter's may run on the connection before the table is made.
        statements = Statements(target, mapping, rules, secrets.token_hex(8), drop_on_commit=drop_on_commit)
        changes = ChangeStatements(statements)
        self.plan = Plan(
            target,
            mapping,
            statements,
            RowStatements(statements),
            AloneStatements(statements, changes),
            changes,
            signature_of(mapping.columns),
        )
        self._may_go_direct = may_go_direct
        self._shares_transaction = shares_transaction
        self.begin_with(is_target_empty=False)
        self._arranger = Arranger(mapping, rules.needed, words, forms, schema, dialect, str(job.id))
        self._places = forms.places
        self._job = job
        self._rejects = rejects
        self._time_zone = time_zone

    def serve(self, job: Job) -> None:
        """Go on for another job, of which everything but its name is the same."""
        self._job = job
        self._arranger.job_id = str(job.id)

    def begin_with(self, *, is_target_empty: bool) -> None:
        """Choose the first batch's way."""
        self.course = Course.at_start(self.plan, is_target_empty=is_target_empty)
        if not self._may_go_direct:
            self.course = replace(self.course, may_go_direct=False)

    def follow(self, other: Importer) -> None:
        """Begin with what another importer into the same target has learnt."""
        self.course = other.course

    def learn(self, work: Work) -> None:
        """Choose the next batch's way, once a batch is committed."""
        self.course = self.course.after(work)

    def arrange(self, batch: RecordBatch) -> ArrangedBatch:
        """Make a batch ready to be sent; may run in a thread."""
        return self._arranger.arrange(batch)

    async def bring_in(
        self, connection: asyncpg.Connection, arranged: ArrangedBatch, errors_before: int = 0
    ) -> Work:
        """Write a batch's rows in the open transaction and say what became of each record.

        ``errors_before``: how many of the job's records were refused before; only so many are kept.

        Raises JobFailed when the target is not as it was or may not be written; other errors of the database pass.
        """
        records = RejectedRecords(arranged, self._rejects, max(0, STORED_MAX - errors_before))
        refusals = Refusals(self.plan.target, self.plan.mapping, arranged, records, self._places)
        work = Work(connection, self.plan, arranged, refusals, self._job.id, self._job.lease_token)
        try:
            if self._time_zone is not None:
                await set_time_zone(connection, self._time_zone)
            if self._shares_transaction:
                await work.execute(self.plan.statements.drop_all)
            await self._find_leads(work)
            await begin_changes(work)
            await self._write(work)
            await record_changes(work)
            mapping = self.plan.mapping
            await require_unchanged(
                connection, self.plan.target, mapping.columns, mapping.key, self.plan.signature
            )
        except asyncpg.PostgresError as error:
            failure = as_failure(error, self.plan.target.name)
            if failure is None:
                raise
            raise failure from error
        work.close()
        return work

    async def _find_leads(self, work: Work) -> None:
        """What stands before each record; the time is the transaction's own."""
        if any(origin is Origin.IMPORTED_AT for origin, _ in self.plan.mapping.provenance):
            work.imported_at = await work.value(query("import_time"))
        work.leads = work.arranged.prefix.leads(work.imported_at)

    async def _write(self, work: Work) -> None:
        if not len(work.arranged):
            return
        if self.plan.target.is_deferrable:
            await work.execute("set constraints all immediate")
        if self.course.tries_direct:
            try:
                await bring_in_directly(work)
            except TakeStagedWay as refused:
                work.direct_failed = refused.reason
                work.refusals.forget()
            else:
                work.went_direct = True
                return
        await bring_in_staged(work, are_mostly_new=self.course.are_mostly_new, is_careful=self.course.is_careful)
