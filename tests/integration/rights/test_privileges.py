"""Goal: a job that lacks a right fails at once and says which; row-level security decides row by row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.rights.scene import Scene
    from tests.sql.roles import Submitter

pytestmark = pytest.mark.each_postgres

ALL = "grant insert, select, update on {t} to {role}"


async def make_guest(scene: Scene, *grants: str) -> tuple[Submitter, str]:
    """A submitter with these grants on a table of another's that holds row 1, and the table's name."""
    owner, guest = await scene.submitter("owner"), await scene.submitter("guest")
    table = f"{owner.role}.stock"
    await owner.connection.execute(f"create table {table} (id int primary key, name text, who text)")
    await owner.connection.execute(f"insert into {table} values (1, 'old', 'somebody')")
    await owner.connection.execute(f"grant usage on schema {owner.role} to {guest.role}")
    for grant in grants:
        await owner.connection.execute(grant.format(t=table, role=guest.role, schema=owner.role))
    return guest, table


@pytest.mark.parametrize(
    ("grants", "options", "lacks"),
    [
        ([], {}, ["insert, select, update", "id, name"]),
        (["grant select, update on {t} to {role}"], {}, ["insert"]),
        (["grant insert on {t} to {role}"], {}, ["select"]),
        (["grant insert, select on {t} to {role}"], {}, ["update", "name"]),
        (["grant insert (id), select, update on {t} to {role}"], {}, ["with name"]),
        (["grant insert, select (id), update on {t} to {role}"], {}, ["with name"]),
        ([ALL, "revoke usage on schema {schema} from {role}"], {}, ["schema"]),
        (["grant select on {t} to {role}"], {"key": []}, ["insert"]),
    ],
)
async def test_what_is_lacking_is_named_with_the_role(
    scene: Scene, grants: list[str], options: dict[str, object], lacks: list[str]
) -> None:
    guest, table = await make_guest(scene, *grants)
    job = await scene.run(guest, table, ["id,name", "2,bob"], options)
    assert (job["status"], job["error_code"], job["retry_count"]) == ("failed", "no_privilege", 0)
    assert all(word in job["error_message"] for word in lacks), job["error_message"]
    assert guest.login not in job["error_message"]  # the role that was granted is the one to give more to
    assert job["processed_rows"] == 0


@pytest.mark.parametrize(
    ("grants", "options", "counts"),
    [
        ([ALL], {}, (1, 1)),
        (["grant insert, select on {t} to {role}"], {"on_conflict": "skip"}, (1, 0)),
        (
            ["grant insert (id, name), select (id, name), update (name) on {t} to {role}"],
            {},
            (1, 1),
        ),
    ],
)
async def test_what_suffices_suffices(
    scene: Scene, grants: list[str], options: dict[str, object], counts: tuple[int, int]
) -> None:
    guest, table = await make_guest(scene, *grants)
    job = await scene.run(guest, table, ["id,name", "1,new", "2,bob"], options)
    assert job["status"] == "completed", job["error_message"]
    assert (job["items_added"], job["items_updated"]) == counts


async def test_a_role_that_may_make_no_temporary_table_is_told_so(scene: Scene) -> None:
    guest, table = await make_guest(scene, ALL)
    name = scene.place.database_name
    await scene.database.execute(f"revoke temporary on database {name} from public")
    try:
        job = await scene.run(guest, table)
    finally:
        await scene.database.execute(f"grant temporary on database {name} to public")
    assert (job["status"], job["error_code"]) == ("failed", "no_privilege")
    assert f"role {guest.role} may not make temporary tables" in job["error_message"]


async def test_a_right_that_is_taken_in_the_middle_fails_the_job_and_a_retry_goes_on(scene: Scene) -> None:
    guest, table = await make_guest(scene, ALL)
    owner = table.partition(".")[0]
    await scene.database.execute(f"""
        create function {owner}.take() returns trigger language plpgsql security definer as $q$ begin
            if exists (select from {table} where id >= 1004) then
                revoke insert on {table} from {guest.role};
            end if;
            return null;
        end $q$;
        create trigger take after insert on {table} for each statement execute function {owner}.take();
    """)
    lines = ["id,name", *(f"{number},x" for number in range(1000, 1010))]
    job = await scene.run(guest, table, lines, {"batch_size": 5})
    assert (job["status"], job["error_code"], job["retry_count"]) == ("failed", "no_privilege", 0)
    assert (job["items_added"], json.loads(job["cursor"])["row"]) == (5, 5)
    await scene.database.execute(f"drop trigger take on {table}; grant insert on {table} to {guest.role}")
    assert await guest.connection.fetchval("select jobd.retry($1)", job["id"])
    job = await scene.end_of(job["id"])
    assert (job["status"], job["items_added"], job["error_count"]) == ("completed", 10, 0)
    assert await scene.database.fetchval(f"select count(*) from {table} where id >= 1000") == 10


SECURED = (ALL, "alter table {t} enable row level security")
POLICIES = {
    "none": ("create policy none on {t} using (false)", (0, 0, 0, 4)),
    "all": ("create policy everything on {t} using (true) with check (true)", (3, 1, 0, 0)),
    # Row 1 is hidden, so a new row with its key is refused; row 2 and 4 are let in, 13 is not.
    "some rows": (
        (
            "create policy reads on {t} for select using (id > 1); create policy adds on {t} for insert"
            " with check (id < 10); create policy changes on {t} for update using (id > 1)"
        ),
        (2, 0, 0, 2),
    ),
    "no update": (
        (
            "create policy reads on {t} for select using (true);"
            "create policy adds on {t} for insert with check (true)"
        ),
        (3, 0, 0, 1),
    ),
    "no insert": (
        "create policy reads on {t} for select using (true);create policy changes on {t} for update using (true)",
        (0, 1, 0, 3),
    ),
}


@pytest.mark.parametrize("batch_size", [1, 1000])
@pytest.mark.parametrize("policy", POLICIES)
async def test_policies_decide_row_by_row_whatever_the_batch(scene: Scene, policy: str, batch_size: int) -> None:
    statement, counts = POLICIES[policy]
    guest, table = await make_guest(scene, *SECURED, statement)
    lines = ["id,name", "1,new", "2,bob", "4,dan", "13,eve"]
    job = await scene.run(guest, table, lines, {"batch_size": batch_size})
    found = (job["items_added"], job["items_updated"], job["items_unchanged"], job["error_count"])
    assert found == counts, job["error_message"]
    assert job["status"] == ("failed" if counts[3] == 4 else "completed")
    assert await scene.database.fetchval(f"select count(*) from {table}") == 1 + counts[0]
    codes = await scene.database.fetch("select distinct code from jobd.job_error where job_id = $1", job["id"])
    assert {row["code"] for row in codes} <= {"row_security", "unique_violation"}


async def test_a_policy_that_asks_who_is_there_is_told_the_submitter(scene: Scene) -> None:
    guest, table = await make_guest(
        scene, *SECURED, "create policy own on {t} using (who = current_user) with check (who = current_user)"
    )
    lines = ["id,name,who", f"2,bob,{guest.role}", "3,cid,somebody", f"4,dan,{guest.login}"]
    job = await scene.run(guest, table, lines)
    assert (job["status"], job["items_added"], job["error_count"]) == ("completed", 1, 2), job["error_message"]
    refused = await scene.database.fetch(
        "select row_number, code from jobd.job_error where job_id = $1 order by 1", job["id"]
    )
    assert [tuple(row) for row in refused] == [(2, "row_security"), (3, "row_security")]
