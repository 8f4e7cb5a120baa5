"""``submit``, ``cancel``, ``pause``, ``resume``, ``retry``, ``priority`` and ``prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from jobd.client import Client
    from jobd.model.job import Job
    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database

    Read = Callable[..., Awaitable[Any]]


async def test_a_file_is_submitted_by_its_absolute_path(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    monkeypatch.chdir(tmp_path)
    job = await read("submit", "a.csv", "--target", "public.t")
    assert job["source"] == str(tmp_path / "a.csv")
    assert (job["target"], job["status"], job["options"]) == ("public.t", "pending", {})


async def test_a_submitted_job_can_be_watched_next(jobd: Jobd, tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    result = await jobd("submit", tmp_path / "a.csv", "-t", "public.t")
    assert "a.csv → public.t" in result.stdout
    assert "jobd watch" in result.stdout
    assert result.stderr == ""


async def test_options_are_passed_on(read: Read) -> None:
    job = await read(
        "submit", "s3://bucket/a.csv", "-t", "public.t", "-k", "year", "-k", "flight", "--on-conflict", "skip",
        "--force", "-o", "batch_size=500", "-o", 'null_values=["NA",""]', "-o", "max_errors=1%",
        "-o", "delimiter=;",
        "--queue", "slow", "--priority", "high", "--idempotency-key", "monday",
    )  # fmt: skip
    assert job["source"] == "s3://bucket/a.csv"
    assert job["options"] == {
        "key": ["year", "flight"],
        "on_conflict": "skip",
        "force": True,
        "batch_size": 500,
        "null_values": ["NA", ""],
        "max_errors": "1%",
        "delimiter": ";",
    }
    assert (job["queue"], job["priority"], job["idempotency_key"]) == ("slow", "high", "monday")


async def test_a_file_that_is_not_here_is_submitted_with_a_note(jobd: Jobd) -> None:
    result = await jobd("submit", "/nowhere/a.csv", "-t", "public.t")
    assert "/nowhere/a.csv is not on this machine" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "complaint"),
    [
        (["x.csv"], 2, "--target"),
        (["x.csv", "-t", "t", "-o", "nonsense"], 2, "NAME=VALUE"),
        (["x.csv", "-t", "t", "-o", "on_conflikt=skip"], 1, "on_conflict"),
        (["x.csv", "-t", "t", "--priority", "urgent"], 2, "urgent"),
        (["x.csv", "-t", "t", "--queue", "no spaces please"], 1, "queue"),
    ],
)
async def test_what_cannot_be_submitted_is_refused_with_what_to_do(
    jobd: Jobd, arguments: list[str], exit_code: int, complaint: str
) -> None:
    result = await jobd("submit", *arguments, exit_code=exit_code)
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


async def test_a_job_goes_through_all_controls(jobd: Jobd, client: Client) -> None:
    job = await client.submit("/srv/in/a.csv", "public.t")
    assert "‖ paused" in (await jobd("pause", job.id, "--reason", "lunch")).stdout
    assert "○ pending" in (await jobd("resume", job.id)).stdout
    assert "high priority" in (await jobd("priority", job.id, "high")).stdout
    assert "⊘ cancelled" in (await jobd("cancel", job.id, "-r", "wrong file")).stdout
    assert "nothing to do" in (await jobd("cancel", job.id, exit_code=1)).stderr
    assert "○ pending" in (await jobd("retry", job.id)).stdout


async def test_a_running_jobs_worker_is_asked(jobd: Jobd, running: Job) -> None:
    assert "asked to pause" in (await jobd("pause", running.id)).stdout
    assert "asked to cancel" in (await jobd("cancel", running.id)).stdout


async def test_several_jobs_are_controlled_at_once_or_none(jobd: Jobd, client: Client) -> None:
    jobs = [await client.submit(f"/srv/in/{name}.csv", "public.t") for name in "ab"]
    await jobd("cancel", jobs[0].id, "01234567-0000-7000-8000-00000000000", jobs[1].id, exit_code=1)
    assert {job.status for job in await client.list()} == {"pending"}
    await jobd("cancel", *(job.id for job in jobs))
    assert {job.status for job in await client.list()} == {"cancelled"}


async def test_old_jobs_are_pruned_and_failed_ones_kept(jobd: Jobd, client: Client, database: Database) -> None:
    job = await client.submit("/srv/in/a.csv", "public.t")
    await client.cancel(job.id)
    assert (await jobd("prune")).stdout == "0 jobs deleted.\n"
    assert (await jobd("prune", "--older-than", "0s")).stdout == "1 job deleted.\n"
    assert await database.fetchval("select count(*) from jobd.job") == 0
    assert "not an age" in (await jobd("prune", "--older-than", "soon", exit_code=2)).stderr


async def test_a_file_is_uploaded_with_its_job_in_one_go(
    jobd: Jobd, read: Callable[..., Awaitable[Any]], database: Database, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(b"id\n1\n")
    job = await read("submit", tmp_path / "a.csv", "--target", "public.t", "--upload")
    assert job["filename"] == "a.csv"
    blob = await database.fetchrow("select 'blob:' || id as source, data, filename from jobd.blob")
    assert blob is not None
    assert tuple(blob) == (job["source"], b"id\n1\n", "a.csv")
    await jobd("submit", tmp_path / "a.csv", "--target", "public.t", "--upload", "-o", "nonsense=1", exit_code=1)
    assert await database.fetchval("select count(*) from jobd.blob") == 1


async def test_what_cannot_be_uploaded_is_refused_before_anything_is_sent(jobd: Jobd, tmp_path: Path) -> None:
    result = await jobd("submit", tmp_path, "-t", "public.t", "--upload", exit_code=2)
    assert "a file of at most 512 MB" in result.stderr
    result = await jobd("submit", tmp_path / "none.csv", "-t", "public.t", "--upload", exit_code=2)
    assert "cannot be read" in result.stderr
