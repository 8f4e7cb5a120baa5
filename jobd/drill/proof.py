"""The proof: the files, the job rows, the errors and the tables held against one another, record by record."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import to_thread

from jobd.drill import content
from jobd.drill.load import Expectation
from jobd.drill.report import PROBLEMS_MAX, Check, Sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
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


class Claim:
    """One thing that must hold of many: how many were looked at, and the first problems."""

    def __init__(self, claim: str, unit: str) -> None:
        self._claim = claim
        self._unit = unit
        self._count = 0
        self._problems: list[str] = []
        self._more = 0

    def add(self, count: int, problems: Iterable[str]) -> None:
        """So many more were looked at, and this is not as it must be."""
        self._count += count
        for problem in problems:
            if len(self._problems) < PROBLEMS_MAX:
                self._problems.append(problem)
            else:
                self._more += 1

    def check(self) -> Check:
        """What was found."""
        more = [f"and {self._more} more"] if self._more else []
        return Check(self._claim, f"{self._count:,} {self._unit}", (*self._problems, *more))


class Taken(NamedTuple):
    """A job, its row (None where it is gone), and what must have come of it."""

    job: DrillJob
    row: Record | None
    expected: Expectation


class Proof:
    """Takes jobs that have ended, all at once or a few at a time, and says in the end what holds of them."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._ended = Claim("every job completed or was cancelled, and none needed a retry", "jobs")
        self._counters = Claim("every counter of every job is what its records make", "jobs")
        self._files = Claim("every counter of every file is what its records make", "files")
        self._errors = Claim("every refused record is there once, with its reason", "refused records")
        self._sums: dict[str, Sum] = {}
        self._brought_in: Counter[str] = Counter()
        self._added: Counter[str] = Counter()

    async def begin(self) -> None:
        """Forget what an earlier proof wrote down of what the tables must hold."""
        await self._scratch.fetch("drill_forget_expected")

    async def take(self, jobs: Sequence[DrillJob]) -> Sequence[Record]:
        """Hold jobs against their files, record by record, and write down what the tables must hold of them.

        Gives the jobs' rows. What was taken may be pruned then.
        """
        ids = [job.id for job in jobs]
        rows = {row["id"]: row for row in await self._scratch.fetch("drill_jobs", ids)}
        taken = [await self._taken(job, rows.get(job.id)) for job in jobs]
        self._ended.add(len(taken), [problem for one in taken for problem in _end_problems(one)])
        self._counters.add(len(rows), [problem for one in taken for problem in _counter_problems(one)])
        self._take_files(taken, await self._scratch.fetch("drill_files", ids))
        await self._take_errors(taken, ids)
        for one in taken:
            self._count(one)
        return list(rows.values())

    async def checks(self) -> list[Check]:
        """Everything that must hold of records, counters, errors and rows."""
        keys = await self._scratch.value("drill_stock_keys")
        if self._added["stock"] != keys:
            self._counters.add(0, [f"overlapping keys: {self._added['stock']} rows were added for {keys} keys"])
        claims = (self._ended, self._add_up(), self._counters, self._files, self._errors)
        return [*[claim.check() for claim in claims], *[await self._table(table) for table in COLUMNS]]

    def sums(self) -> list[Sum]:
        """A line for each kind of files, by what the jobs counted."""
        return list(self._sums.values())

    async def _taken(self, job: DrillJob, row: Record | None) -> Taken:
        """Work out what must have come of what a job read."""
        expected = await to_thread.run_sync(Expectation, job, 0 if row is None else row["processed_rows"])
        await self._scratch.expect(job.table, COLUMNS[job.table], expected.rows)
        expected.rows = []
        return Taken(job, row, expected)

    def _count(self, taken: Taken) -> None:
        job, row = taken.job, taken.row
        more = Sum(job.kind, 1, len(job.files), job.records, 0, 0, 0, 0, 0)
        if row is not None:
            not_read = job.records - row["processed_rows"] if row["status"] == "cancelled" else 0
            fates = (
                row["items_added"],
                row["items_updated"],
                row["items_unchanged"],
                row["error_count"],
                not_read,
            )
            more = Sum(*more[:4], *fates)
            self._brought_in[job.table] += row["processed_rows"] - row["error_count"]
            self._added[job.table] += row["items_added"]
        known = self._sums.get(job.kind)
        self._sums[job.kind] = more if known is None else known.plus(more)

    def _add_up(self) -> Claim:
        claim = Claim(
            "records in the files = added + updated + unchanged + refused + not read, as cancelled", "records"
        )
        for each in self.sums():
            claim.add(each.records, [] if each.adds_up else [f"{each.kind}: {each}"])
        return claim

    def _take_files(self, taken: Sequence[Taken], rows: Sequence[Record]) -> None:
        by_job: dict[UUID, list[Record]] = defaultdict(list)
        for row in rows:
            by_job[row["job_id"]].append(row)
        self._files.add(
            len(rows), [problem for one in taken for problem in _file_problems(one, by_job[one.job.id])]
        )

    async def _take_errors(self, taken: Sequence[Taken], ids: Sequence[UUID]) -> None:
        found: dict[UUID, dict[tuple[str, int], str]] = defaultdict(dict)
        for row in await self._scratch.fetch("drill_errors", ids):
            found[row["job_id"]][row["file"], row["row_number"]] = row["code"]
        groups: dict[UUID, Counter[str]] = defaultdict(Counter)
        for row in await self._scratch.fetch("drill_error_groups", ids):
            groups[row["job_id"]][row["code"]] += row["records"]
        rejects = {row["job_id"]: row["records"] for row in await self._scratch.fetch("drill_rejects", ids)}
        for one in taken:
            refused, name, id_ = one.expected.refused, _name(one.job), one.job.id
            errors = found[id_]
            problems = [
                f"{name}: record {number} of {file} is {errors.get((file, number), 'not refused')}, "
                f"expected {refused.get((file, number), 'not refused')}"
                for file, number in sorted(refused.keys() | errors.keys())
                if refused.get((file, number)) != errors.get((file, number))
            ]
            if groups[id_] != Counter(refused.values()):
                problems.append(f"{name}: errors are counted as {dict(groups[id_])}")
            if rejects.get(id_, 0) != len(refused):
                problems.append(f"{name}: {rejects.get(id_, 0)} of {len(refused)} refused records are kept")
            self._errors.add(len(refused), problems)

    async def _table(self, table: str) -> Check:
        rows = await self._scratch.fetch(f"drill_differ_{table}")
        problems = [f"{row['what']}: {row['row']}" for row in rows]
        if rows and rows[0]["rows"] > len(rows):
            problems.append(f"and {rows[0]['rows'] - len(rows)} more")
        claim = f"every row of jobd_drill.{table} is there once, with its values"
        if table == "stock":
            claim = "every key of jobd_drill.stock is there once, with what one of its files brought"
        return Check(claim, f"{self._brought_in[table]:,} records brought in", problems)


def _end_problems(taken: Taken) -> Iterator[str]:
    job, row = taken.job, taken.row
    if row is None:
        yield f"{_name(job)} is gone"
    elif row["status"] not in {"completed", "cancelled"}:
        why = f" ({row['error_code']}: {row['error_message']})" if row["error_code"] else ""
        yield f"{_name(job)} is {row['status']}{why}"
    elif row["retry_count"]:
        yield f"{_name(job)} used {row['retry_count']} retries"


def _counter_problems(taken: Taken) -> Iterator[str]:
    if taken.row is None:
        return
    wanted = _wanted(taken.job, taken.row, taken.expected)
    for name, found in _found(taken.job, taken.row).items():
        if name in wanted and found != wanted[name]:
            yield f"{_name(taken.job)}: {name} is {found}, expected {wanted[name]}"


def _file_problems(taken: Taken, rows: Sequence[Record]) -> Iterator[str]:
    job, expected = taken.job, taken.expected
    seen = 0
    for row in rows:
        counts = expected.of_files.get(row["file"])
        if counts is None:
            yield f"{_name(job)}: {row['file']} is none of its files"
            continue
        seen += 1
        wanted: dict[str, Any] = {**counters(counts), "processed_rows": counts.total()}
        if taken.row is not None and taken.row["status"] == "completed":
            wanted["status"] = "completed"
        for name, found in _found(job, row).items():
            if name in wanted and found != wanted[name]:
                yield f"{_name(job)}: {name} of file {row['position']} is {found}, expected {wanted[name]}"
    if taken.row is not None and seen != len(job.files) and (seen or taken.row["processed_rows"]):
        yield f"{_name(job)}: {seen} of its {len(job.files)} files are listed"


def _wanted(job: DrillJob, row: Record, expected: Expectation) -> dict[str, Any]:
    """What the job's row must say."""
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
