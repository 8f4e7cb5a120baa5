"""Goal: whatever file a job names, it completes with every record accounted for, or fails with a documented code;
and the table holds what the counters say.

Method: files of many records are broken and imported into a table of many types, on a real PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
from hypothesis import strategies as st

from tests.fuzz import seeds
from tests.fuzz.case import Case
from tests.fuzz.rounds import kept, search
from tests.fuzz.strategies import broken
from tests.support.importing import import_file
from tests.support.packing import PACKERS, tarred, zipped
from tests.support.workbooks import xlsx

if TYPE_CHECKING:
    from tests.support.database import Database
    from tests.support.importing import Imported

_REFERENCE = Path(__file__).parents[2] / "sql/README.md"
_TABLE = """
drop table if exists things;
create table things (
    id int, name varchar(12), amount numeric(8, 2), day date, note text, at timestamptz, level smallint,
    ok boolean, tags jsonb, numbers int[], code uuid, raw bytea
);
"""
_KEYED = _TABLE + "alter table things add primary key (id), alter name set not null, add check (amount <> 13);"
_RECORDS: list[dict[str, Any]] = [
    {
        "id": number,
        "name": f"name {number}" if number % 7 else 'a "b", c',
        "amount": number / 4,
        "day": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}",
        "note": None if number % 5 else "ü\n\\.\t☃",
        "level": number % 100,
        "ok": number % 2 == 0,
    }
    for number in range(1, 121)
]


def _csv(delimiter: str) -> bytes:
    def field(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if set(text) & {'"', delimiter, "\n"} else text

    rows = [list(_RECORDS[0]), *(list(record.values()) for record in _RECORDS)]
    return "".join(delimiter.join(map(field, row)) + "\n" for row in rows).encode()


_LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in _RECORDS).encode()
FILES: dict[str, bytes] = {
    "comma.csv": _csv(","),
    "tab.tsv": _csv("\t"),
    "wide.csv": _csv(";").decode().encode("utf-16"),
    "lines.jsonl": _LINES,
    "array.json": json.dumps(_RECORDS).encode(),
    "keyed.json": json.dumps({str(record["id"]): record for record in _RECORDS}).encode(),
    "log.txt": seeds.TEXTS["access.log"] * 10,
    "comma.csv.gz": PACKERS["gzip"](_csv(",")),
    "lines.jsonl.zst": PACKERS["zstd"](_LINES),
    "all.zip": zipped({"a.csv": _csv(","), "b.jsonl": _LINES, "c.json": b'{"id": 7, "late": 1}'}),
    "all.tar": tarred({"a.jsonl": _LINES, "b.csv": _csv(";"), "c.txt": b"x\n"}),
}
_BOOK = xlsx({"T": [list(_RECORDS[0]), *(list(record.values()) for record in _RECORDS[:20])]})
_LONG = {**FILES, "book.xlsx": _BOOK}

_OPTIONS = st.fixed_dictionaries(
    {"ignore_unknown": st.sampled_from([True, True, False])},
    optional={
        "ragged": st.sampled_from(["pad", "truncate"]),
        "header": st.booleans(),
        "trim": st.booleans(),
        "on_file_error": st.sampled_from(["skip", "fail"]),
        "null_values": st.sampled_from([["", "null"], [], ["-"]]),
        "batch_size": st.sampled_from([1, 13, 1000]),
        "on_conflict": st.sampled_from(["update", "skip", "error"]),
        "provenance": st.just({"row_number": "level"}),
        "pattern": st.just(r"^(?P<name>\S+) .* (?P<id>\d+)$"),
        "rest": st.just("tags"),
        "max_errors": st.sampled_from([0, 5, "10%"]),
        "atomic": st.booleans(),
    },
)


def documented_codes() -> set[str]:
    """The codes of section "jobd.job.error_code", which is what may be wrong with a job."""
    text = _REFERENCE.read_text(encoding="utf-8")
    section = text[text.index("### `jobd.job.error_code`") : text.index("### `jobd.job_error.code`")]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`(\w+)`", row)}


# Of these, an import never fails so because of its file.
_NOT_OF_A_FILE = {"handler_error", "database_error", "batch_unaccounted", "worker_lost", "timeout",
                  "target_refused", "statement_invalid", "not_built", "source_changed",
                  "target_changed", "no_privilege"}  # fmt: skip


def test_an_import_ends_well_whatever_is_imported(database: Database) -> None:
    codes = documented_codes() - _NOT_OF_A_FILE
    assert {"source_corrupt", "unknown_column", "all_rows_refused", "option_invalid"} <= codes
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database.url, statement_cache_size=0))

        def hold(example: tuple[Case, bool]) -> None:
            case, is_keyed = example
            with kept(case, "import"), tempfile.TemporaryDirectory() as directory:
                path = Path(directory).resolve() / case.name
                path.write_bytes(case.content)
                runner.run(_import(connection, path, case, codes, is_keyed=is_keyed))

        try:
            strategy = st.tuples(_cases(FILES), st.booleans())
            assert search(strategy, hold, few=15, share=0.12)
            assert search(st.tuples(_cases({"book.xlsx": _BOOK}), st.booleans()), hold, few=1, share=0.03)
        finally:
            runner.run(connection.close())


@st.composite
def _cases(draw: st.DrawFn, files: dict[str, bytes]) -> Case:
    name = draw(st.sampled_from(sorted(files)))
    return Case(name=name, content=draw(broken(files[name], _LONG)), options=draw(_OPTIONS))


async def _import(
    connection: asyncpg.Connection, path: Path, case: Case, codes: set[str], *, is_keyed: bool
) -> None:
    await connection.execute(_KEYED if is_keyed else _TABLE)
    imported = await import_file(connection, path, "things", case.options)
    assert imported.failure is None or imported.failure.error_code in codes, imported.failure
    await _require_sums(connection, imported, case)


async def _require_sums(connection: asyncpg.Connection, imported: Imported, case: Case) -> None:
    tally = imported.tally
    assert tally.success_count == tally.added + tally.updated + tally.unchanged + tally.skipped
    assert tally.processed_rows == tally.success_count + tally.refused
    assert await connection.fetchval("select count(*) from things") == tally.added
    if not case.options.get("atomic"):
        assert len({(error.file, error.row_number) for error in imported.errors}) == tally.refused
    assert all(error.code and error.message for error in imported.errors)
