"""What is wrong is found, with what mends it: each thing broken by itself, and mended by the words told."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from jobd.db.grants import SubmitterGrant, grant_submitter
from jobd.doctor import schema, upkeep, work
from tests.sql.jobs import register
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database

    Examine = Callable[..., Awaitable[dict[str, list[tuple[str, str, str]]]]]


@pytest.fixture
def examine(jobd: Jobd) -> Examine:
    """The findings of a check, in one list for each of its names: level, message and remedy."""

    async def run(exit_code: int = 1) -> dict[str, list[tuple[str, str, str]]]:
        # The test's server runs with fsync off, which is a problem wherever it is looked at.
        found = json.loads((await jobd("doctor", "--json", exit_code=exit_code)).stdout)
        assert found["is_well"] is (exit_code == 0)
        findings: dict[str, list[tuple[str, str, str]]] = {}
        for each in found["findings"]:
            finding = (each["level"], each["message"], each["remedy"])
            findings.setdefault(each["check"], []).append(finding)
        return findings

    return run


def levels(found: dict[str, list[tuple[str, str, str]]], *checks: str) -> set[str]:
    return {level for check in checks for level, _, _ in found[check]}


async def test_a_healthy_database_has_nothing_but_the_settings_of_a_test(
    database: Database, examine: Examine
) -> None:
    await register(database)
    found = await examine()
    healthy = {"server_version", "tls", "pooler", "clock", "listener", "schema", "schema_parts"}
    healthy |= {"submitters", "transactions", "replication_slots", "tables", "connections", "queues"}
    assert levels(found, *healthy) == {"ok"}
    assert ("problem", "fsync is off: a crash of the host may damage the whole database") in [
        finding[:2] for finding in found["server_settings"]
    ]
    assert all(remedy for findings in found.values() for level, _, remedy in findings if level != "ok")


@pytest.mark.parametrize(
    ("breaking", "what"),
    [
        ("drop index jobd.job_claim", "the index job_claim of jobd.job is missing"),
        ("alter table jobd.job_error_group drop constraint job_error_group_of_job", "job_error_group_of_job"),
        ("alter table jobd.job disable trigger job_updated", "the trigger job_updated of jobd.job is disabled"),
        ("drop trigger job_40_prepare on jobd.job", "the trigger job_40_prepare of jobd.job is missing"),
        (
            "update pg_index set indisvalid = false where indexrelid = 'jobd.job_claim'::regclass",
            "the index job_claim of jobd.job is not valid",
        ),
    ],
)
async def test_a_part_of_the_schema_that_is_gone_is_mended_by_the_remedy(
    database: Database, examine: Examine, breaking: str, what: str
) -> None:
    await database.execute(breaking)
    [(level, message, remedy)] = (await examine())["schema_parts"]
    assert (level, what in message) == ("problem", True)
    await database.execute(remedy)
    assert levels(await examine(), "schema_parts") == {"ok"}


def test_every_index_and_trigger_is_known_with_the_statement_that_makes_it() -> None:
    parts = schema.expected_parts()
    assert {"job_pkey", "job_claim", "job_updated", "job_erase"} <= {part.name for part in parts}
    assert all(part.name in part.statement and part.table in part.statement for part in parts)


async def test_an_empty_database_lacks_the_schema_and_nothing_else_is_asked(
    database: Database, examine: Examine
) -> None:
    await database.execute("drop schema jobd cascade")
    found = await examine()
    assert found["schema"] == [("problem", "the database has no jobd schema", "run `jobd migrate`")]
    assert "queues" not in found


async def test_a_schema_of_another_release_is_told(database: Database, examine: Examine) -> None:
    await database.execute("update jobd.schema_text set sha256 = 'another'")
    assert levels(await examine(), "schema") == {"warning"}
    await database.execute("insert into jobd.schema_version values (9000, 'later', now(), 'them', 9000)")
    [(level, message, remedy)] = (await examine())["schema"]
    assert (level, "9000" in message, remedy) == ("problem", True, "upgrade jobd")


async def test_a_database_that_takes_no_writes_is_a_problem(database: Database, examine: Examine) -> None:
    name = database.url.rpartition("/")[2]
    await database.execute(f"alter database {name} set default_transaction_read_only = on")
    assert levels(await examine(), "server_writes") == {"problem"}


async def test_an_unreachable_database_is_the_only_finding(jobd: Jobd) -> None:
    result = await jobd("doctor", "--json", "--database-url", "postgresql://127.0.0.1:1/x", exit_code=69)
    [finding] = json.loads(result.stdout)["findings"]
    assert (finding["check"], finding["level"]) == ("database", "problem")
    assert "jobd dev" in finding["remedy"]


async def test_a_submitter_without_a_working_login_is_found(database: Database, examine: Examine) -> None:
    role = unique("clerk")
    await database.execute(f"create role {role}")
    login = await grant_submitter(await database.connect(), SubmitterGrant(role=role))
    assert levels(await examine(), "submitters") == {"ok"}
    for breaking, mending, what in (
        (f"revoke {role} from {login}", f"grant {role} to {login}", f"{login} is no member of {role}"),
        (f"alter role {login} nologin", f"alter role {login} login", "expired or may not log in"),
        (f"alter role {login} connection limit 0", f"alter role {login} connection limit -1", "cannot connect as"),
    ):
        await database.execute(breaking)
        [(level, message, remedy)] = (await examine())["submitters"]
        assert (level, what in message, f"jobd grant {role}" in remedy) == ("problem", True, True)
        await database.execute(mending)
    await database.execute(f"drop role {login}; drop owned by {role}; drop role {role}")
    assert levels(await examine(), "submitters") == {"warning"}


async def test_transactions_that_hold_back_vacuum_are_found(
    database: Database, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "IDLE_SECONDS_MAX", 0.0)
    idler = await database.connect()
    await idler.execute("begin; select 1 from jobd.job")
    [(level, message, remedy)] = (await examine())["transactions"]
    assert (level, "idle in transaction" in message) == ("warning", True)
    await database.execute(remedy.rpartition(": ")[2])
    assert levels(await examine(), "transactions") == {"ok"}


async def test_tables_that_are_not_vacuumed_are_found(
    database: Database, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.execute("alter table jobd.job set (autovacuum_enabled = off)")
    [(level, _, remedy)] = (await examine())["tables"]
    assert level == "problem"
    await database.execute(remedy)
    assert levels(await examine(), "tables") == {"ok"}
    monkeypatch.setattr(upkeep, "AGE_MAX", 0)
    assert levels(await examine(), "tables") == {"problem"}


async def test_queues_that_are_paused_or_that_nobody_serves_are_found(
    database: Database, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [(level, message) for level, message, _ in (await examine())["workers"]] == [
        ("warning", "no daemon is alive")
    ]
    await register(database)
    await database.execute("insert into jobd.job (source, target, queue) values ('/a', 'public.t', 'slow')")
    await database.execute("insert into jobd.job (source, target) values ('/a', 'public.t')")
    [(level, message, remedy)] = (await examine())["queues"]
    assert (level, "slow" in message, "JOBD_QUEUES" in remedy) == ("problem", True, True)
    await database.execute("select jobd.pause_queue('slow')")
    [(level, message, remedy)] = (await examine())["queues"]
    assert (level, "is paused" in message, remedy) == ("warning", True, "select jobd.resume_queue('slow');")
    monkeypatch.setattr(work, "DUE_SECONDS_MAX", -1.0)
    assert "default has been due" in " ".join(message for _, message, _ in (await examine())["queues"])


async def test_places_that_are_absent_are_found(
    jobd: Jobd, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("JOBD_IMPORT_ROOTS", f"{tmp_path}:{tmp_path}/absent:{__file__}")
    monkeypatch.setenv("JOBD_SPOOL", str(tmp_path))
    found = json.loads((await jobd("doctor", "--json", exit_code=1)).stdout)["findings"]
    places = [(each["check"], each["level"]) for each in found if each["check"] in {"import_roots", "spool"}]
    assert places == [
        ("import_roots", "ok"),
        ("import_roots", "problem"),
        ("import_roots", "problem"),
        ("spool", "ok"),
    ]


async def test_clocks_apart_are_told(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 600)
    [(level, message, _)] = (await examine())["clock"]
    assert (level, "600 s apart" in message) == ("warning", True)


async def test_without_notifications_the_listener_is_told(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBD_NOTIFY", "off")
    assert levels(await examine(), "listener") == {"warning"}
    monkeypatch.setenv("JOBD_NOTIFY", "on")
    monkeypatch.setenv("JOBD_NOTIFY_DATABASE_URL", "postgresql://127.0.0.1:1/x")
    assert levels(await examine(), "listener") == {"warning"}


async def test_people_read_the_findings_with_a_sign_and_a_remedy_each(jobd: Jobd, database: Database) -> None:
    await database.execute("alter table jobd.job disable trigger job_updated")
    text = (await jobd("doctor", exit_code=1)).stdout
    assert "✗  schema_parts" in " ".join(text.split(" ")).replace("     ", "  ")
    assert "→ alter table jobd.job enable trigger job_updated;" in text
    assert "problems" in text.splitlines()[-1]
