"""Goal: code on a target can neither speak for the fence nor count for the daemon; its job ends, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.rights.scene import Scene

pytestmark = pytest.mark.each_postgres

WHEN = {
    "in the batch": "create trigger says before insert on {r}.stock for each row execute function {r}.says()",
    "at its commit": "create constraint trigger says after insert on {r}.stock deferrable initially deferred"
    " for each row execute function {r}.says()",
}
OWN_JOB = "from jobd.job j where j.target = '{r}.stock' and j.status = 'running'"
COUNTS = "jobd.commit_batch(j.id, j.lease_token, 1000, 0, 0, 0, 0, null, 1)"
MOVES = 'jobd.commit_batch(j.id, j.lease_token, 0, 0, 0, 0, 0, \'{{"file": 7, "row": 7}}\', 1)'
BUNDLES = (
    "jobd.commit_bundle(array[j.id], array[j.lease_token], '{{1000}}', '{{0}}', '{{0}}', '{{0}}',"
    ' array[\'{{"file": 7, "row": 7}}\'::jsonb])'
)


async def run_with(scene: Scene, code: str) -> Mapping[str, Any]:
    """The row of a job whose target has this on it."""
    owner = await scene.submitter()
    await owner.connection.execute(f"create table {owner.role}.stock (id int primary key, name text)")
    await owner.connection.execute(code.format(r=owner.role))
    job = await scene.run(owner, f"{owner.role}.stock")
    assert await scene.database.fetchval(f"select count(*) from {owner.role}.stock") == job["items_added"]
    return job


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("sqlstate", ["JB001", "JB002", "JB003", "JB008"])
async def test_a_trigger_that_speaks_for_the_fence_fails_the_job_at_once(
    scene: Scene, sqlstate: str, when: str
) -> None:
    job = await run_with(
        scene,
        "create function {r}.says() returns trigger language plpgsql as"
        f" $$ begin raise exception 'lost' using errcode = '{sqlstate}'; end $$; {WHEN[when]}",
    )
    assert (job["status"], job["error_code"]) == ("failed", "target_refused")
    assert sqlstate in job["error_message"]
    assert (job["interrupt_count"], job["retry_count"], job["items_added"]) == (0, 0, 0)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("call", [COUNTS, MOVES, BUNDLES])
async def test_a_trigger_cannot_commit_a_batch(scene: Scene, call: str, when: str) -> None:
    job = await run_with(
        scene,
        "create function {r}.says() returns trigger language plpgsql as"
        f" $$ begin perform {call} {OWN_JOB}; return new; end $$; {WHEN[when]}",
    )
    assert (job["status"], job["error_code"]) == ("failed", "no_privilege")
    assert "is called by a trigger" in job["error_message"]
    assert (job["interrupt_count"], job["processed_rows"]) == (0, 0)


@pytest.mark.parametrize("call", [COUNTS, MOVES, BUNDLES])
async def test_nor_can_any_other_code_of_the_target(scene: Scene, call: str) -> None:
    job = await run_with(
        scene,
        "create function {r}.says() returns int language plpgsql as"
        f" $$ begin perform {call} {OWN_JOB}; return 1; end $$;"
        "alter table {r}.stock add n int default {r}.says()",
    )
    assert (job["status"], job["error_code"]) == ("failed", "target_refused")
    # The rows' defaults are two: where one call is all that is allowed, it is the second that is refused.
    reason = "SQLSTATE JB001, which is jobd's own" if call == BUNDLES else "called jobd.commit_batch"
    assert reason in job["error_message"]
    assert (job["interrupt_count"], job["processed_rows"]) == (0, 0)


async def test_a_trigger_may_cancel_its_own_job(scene: Scene) -> None:
    job = await run_with(
        scene,
        "create function {r}.says() returns trigger language plpgsql as"
        f" $$ begin perform jobd.cancel(j.id, 'seen enough') {OWN_JOB}; return new; end $$; "
        + WHEN["in the batch"],
    )
    assert (job["status"], job["items_added"]) == ("cancelled", 0)


async def test_what_a_trigger_says_in_an_error_is_kept_within_bounds(scene: Scene) -> None:
    job = await run_with(
        scene,
        "create function {r}.says() returns trigger language plpgsql as $$ begin"
        " if new.id = 1 then raise exception '%', repeat('x', 1000000) using errcode = '23514',"
        " column = repeat('c', 100000), constraint = repeat('k', 100000); end if; return new; end $$;"
        + WHEN["in the batch"],
    )
    assert (job["status"], job["items_added"], job["error_count"]) == ("completed", 1, 1)
    error = await scene.database.fetchrow(
        "select length(message), length(constraint_name), field from jobd.job_error where job_id = $1", job["id"]
    )
    assert error is not None
    assert tuple(error) == (2000, 63, None)
