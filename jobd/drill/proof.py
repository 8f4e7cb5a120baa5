"""The proof: the files, the job rows, the errors and the tables held against one another, record by record."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from jobd.drill import content
from jobd.drill.load import Expectation
from jobd.drill.report import PROBLEMS_MAX, Check, Sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from asyncpg import Record

    from jobd.drill.load import DrillJob
    from jobd.drill.scratch import Scratch

COLUMNS = {
    "reading": content.READING,
    "entry": content.ENTRY,
    "stock": content.STOCK,
    "small": content.SMALL,
}


class Proof:
    """Looks at a drill whose jobs have ended."""

    def __init__(self, scratch: Scratch, jobs: Sequence[DrillJob]) -> None:
        self._scratch = scratch
        self._jobs = jobs
        self._rows: Mapping[UUID, Record] = {}
        self._expected: dict[UUID, Expectation] = {}

    async def checks(self) -> list[Check]:
        """Everything that must hold of records, counters, errors and rows."""
        self._rows = {row["id"]: row for row in await self._ask("drill_jobs")}
        await self._expect()
        return [
            self._ended(),
            self._add_up(),
            self._counters(),
            await self._files(),
            await self._errors(),
            *[await self._table(table) for table in COLUMNS],
        ]

    @property
    def rows(self) -> Sequence[Record]:
        """The jobs' rows."""
        return list(self._rows.values())

    def sums(self) -> list[Sum]:
        """A line for each kind of files, by what the jobs counted."""
        by_kind: dict[str, list[DrillJob]] = defaultdict(list)
        for job in self._jobs:
            by_kind[job.kind].append(job)
        return [self._sum(kind, jobs) for kind, jobs in by_kind.items()]

    def _sum(self, kind: str, jobs: Sequence[DrillJob]) -> Sum:
        rows = [self._rows[job.id] for job in jobs if job.id in self._rows]
        not_read = sum(
            job.records - self._rows[job.id]["processed_rows"]
            for job in jobs
            if job.id in self._rows and self._rows[job.id]["status"] == "cancelled"
        )
        return Sum(
            kind,
            jobs=len(jobs),
            files=sum(len(job.files) for job in jobs),
            records=sum(job.records for job in jobs),
            added=sum(row["items_added"] for row in rows),
            updated=sum(row["items_updated"] for row in rows),
            unchanged=sum(row["items_unchanged"] for row in rows),
            refused=sum(row["error_count"] for row in rows),
            not_read=not_read,
        )

    async def _ask(self, name: str) -> Sequence[Record]:
        return await self._scratch.fetch(name, self._scratch.batch_id)

    async def _expect(self) -> None:
        """Work out what must have come of what each job read, and write down what the tables must hold."""
        await self._scratch.fetch("drill_forget_expected")
        for job in self._jobs:
            row = self._rows.get(job.id)
            expected = Expectation(job, 0 if row is None else row["processed_rows"])
            self._expected[job.id] = expected
            await self._scratch.expect(job.table, COLUMNS[job.table], expected.rows)
            expected.rows = []

    def _ended(self) -> Check:
        problems = []
        for job in self._jobs:
            row = self._rows.get(job.id)
            if row is None:
                problems.append(f"{_name(job)} is gone")
            elif row["status"] not in {"completed", "cancelled"}:
                why = f" ({row['error_code']}: {row['error_message']})" if row["error_code"] else ""
                problems.append(f"{_name(job)} is {row['status']}{why}")
            elif row["retry_count"]:
                problems.append(f"{_name(job)} used {row['retry_count']} retries")
        return _check(
            "every job completed or was cancelled, and none needed a retry", f"{len(self._jobs)} jobs", problems
        )

    def _add_up(self) -> Check:
        sums = self.sums()
        records = sum(each.records for each in sums)
        problems = [f"{each.kind}: {each}" for each in sums if not each.adds_up]
        return _check(
            "records in the files = added + updated + unchanged + refused + not read, as cancelled",
            f"{records:,} records",
            problems,
        )

    def _counters(self) -> Check:
        problems = []
        for job in self._jobs:
            row = self._rows.get(job.id)
            if row is not None:
                wanted = self._wanted(job, row)
                problems += [
                    f"{_name(job)}: {name} is {found}, expected {wanted[name]}"
                    for name, found in _found(job, row).items()
                    if name in wanted and found != wanted[name]
                ]
        brought = sum(row["items_added"] for row in self._of("stock"))
        keys = len(self._keys())
        if brought != keys:
            problems.append(f"overlapping keys: {brought} rows were added for {keys} keys")
        return _check("every counter of every job is what its records make", f"{len(self._rows)} jobs", problems)

    def _keys(self) -> set[int]:
        return {
            record.row[0]
            for job in self._jobs
            if job.table == "stock" and job.id in self._rows
            for _, _, record in job.prefix(self._rows[job.id]["processed_rows"])
        }

    def _of(self, table: str) -> list[Record]:
        return [self._rows[job.id] for job in self._jobs if job.table == table and job.id in self._rows]

    def _wanted(self, job: DrillJob, row: Record) -> dict[str, Any]:
        """What the job's row must say."""
        expected = self._expected[job.id]
        wanted: dict[str, Any] = {
            **counters(expected.counts),
            "processed_rows": expected.read,
            "items_removed": 0,
            "errors_not_stored": 0,
        }
        if row["status"] == "completed":
            wanted |= {
                "processed_rows": job.records,
                "total_rows": job.records,
                "progress": 100,
                "files_total": len(job.files),
                "files_done": len(job.files),
                "error_code": None,
            }
        return wanted

    async def _files(self) -> Check:
        of_jobs = {job.id: job for job in self._jobs}
        problems = []
        seen: Counter[UUID] = Counter()
        rows = await self._ask("drill_files")
        for row in rows:
            job = of_jobs[row["job_id"]]
            counts = self._expected[job.id].of_files.get(row["file"])
            if counts is None:
                problems.append(f"{_name(job)}: {row['file']} is none of its files")
                continue
            seen[job.id] += 1
            wanted: dict[str, Any] = {**counters(counts), "processed_rows": counts.total()}
            if self._rows[job.id]["status"] == "completed":
                wanted["status"] = "completed"
            problems += [
                f"{_name(job)}: {name} of file {row['position']} is {found}, expected {wanted[name]}"
                for name, found in _found(job, row).items()
                if name in wanted and found != wanted[name]
            ]
        problems += [
            f"{_name(job)}: {seen[job.id]} of its {len(job.files)} files are listed"
            for job in self._jobs
            if job.id in self._rows
            and seen[job.id] != len(job.files)
            and (seen[job.id] or self._rows[job.id]["processed_rows"])
        ]
        return _check("every counter of every file is what its records make", f"{len(rows)} files", problems)

    async def _errors(self) -> Check:
        problems = []
        found: dict[UUID, dict[tuple[str, int], str]] = defaultdict(dict)
        for row in await self._ask("drill_errors"):
            found[row["job_id"]][row["file"], row["row_number"]] = row["code"]
        groups: dict[UUID, Counter[str]] = defaultdict(Counter)
        for row in await self._ask("drill_error_groups"):
            groups[row["job_id"]][row["code"]] += row["records"]
        rejects = {row["job_id"]: row["records"] for row in await self._ask("drill_rejects")}
        for job in self._jobs:
            refused = self._expected[job.id].refused
            errors = found[job.id]
            problems += [
                f"{_name(job)}: record {number} of {file} is {errors.get((file, number), 'not refused')}, "
                f"expected {refused.get((file, number), 'not refused')}"
                for file, number in sorted(refused.keys() | errors.keys())
                if refused.get((file, number)) != errors.get((file, number))
            ]
            if groups[job.id] != Counter(refused.values()):
                problems.append(f"{_name(job)}: errors are counted as {dict(groups[job.id])}")
            if rejects.get(job.id, 0) != len(refused):
                problems.append(
                    f"{_name(job)}: {rejects.get(job.id, 0)} of {len(refused)} refused records are kept"
                )
        count = sum(len(expected.refused) for expected in self._expected.values())
        return _check(
            "every refused record is there once, with its reason", f"{count:,} refused records", problems
        )

    async def _table(self, table: str) -> Check:
        rows = await self._scratch.fetch(f"drill_differ_{table}")
        problems = [f"{row['what']}: {row['row']}" for row in rows]
        if rows and rows[0]["rows"] > len(rows):
            problems.append(f"and {rows[0]['rows'] - len(rows)} more")
        claim = f"every row of jobd_drill.{table} is there once, with its values"
        if table == "stock":
            claim = "every key of jobd_drill.stock is there once, with what one of its files brought"
        records = sum(row["processed_rows"] - row["error_count"] for row in self._of(table))
        return _check(claim, f"{records:,} records brought in", problems)


def counters(counts: Counter[str]) -> dict[str, int]:
    """Fates as jobd counts them; what was brought is counted as added or updated, which others decide."""
    brought = counts["brought"]
    taken = {
        "items_added": counts["added"],
        "items_updated": counts["updated"],
        "items_unchanged": counts["unchanged"],
        "items_skipped": 0,
        "success_count": counts["added"] + counts["updated"] + counts["unchanged"] + brought,
        "error_count": counts["refused"],
    }
    if brought:
        del taken["items_added"], taken["items_updated"]
        taken["added and updated"] = brought
    return taken


def _found(job: DrillJob, row: Record) -> dict[str, Any]:
    found = dict(row)
    if job.table == "stock":
        found["added and updated"] = row["items_added"] + row["items_updated"]
    return found


def _name(job: DrillJob) -> str:
    return f"job {job.id} ({job.kind})"


def _check(claim: str, looked_at: str, problems: Sequence[str]) -> Check:
    more = len(problems) - PROBLEMS_MAX
    shown = [*problems[:PROBLEMS_MAX], f"and {more} more"] if more > 0 else problems
    return Check(claim, looked_at, tuple(shown))
