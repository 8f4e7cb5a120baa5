"""Whether the work gets done: daemons that are alive, and queues that one of them serves."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

DUE_SECONDS_MAX = 600.0


async def workers(patient: Patient) -> list[Finding]:
    """At least one daemon, and all of one release."""
    rows = await patient.rows("doctor_workers")
    if not rows:
        return [warning("workers", "no daemon is alive", "start one: systemctl start jobd@NAME, or jobd run")]
    own = version("jobd")
    releases = sorted({row["version"] for row in rows})
    if releases != [own]:
        return [
            warning(
                "workers",
                f"daemons of {', '.join(releases)} are alive, and this is jobd {own}",
                "finish the upgrade: restart the others, one by one",
            )
        ]
    return [ok("workers", f"{len(rows)} alive, {sum(row['slots'] for row in rows)} slots")]


async def queues(patient: Patient) -> list[Finding]:
    """No queue in which due jobs wait for nobody."""
    alive = await patient.rows("doctor_workers")
    served = {queue for row in alive if not row["is_draining"] for queue in row["queues"]}
    found = []
    for row in await patient.rows("doctor_queues"):
        name, due, oldest = row["queue"], row["due"], row["oldest_due_age_seconds"] or 0.0
        if row["is_paused"]:
            found.append(
                warning(
                    "queues",
                    f"the queue {name} is paused, with {due} due",
                    f"select jobd.resume_queue('{name}');",
                )
            )
        elif due and name not in served:
            found.append(
                problem(
                    "queues",
                    f"{due} due in the queue {name}, which no daemon serves",
                    f"add {name} to JOBD_QUEUES of a daemon, and restart it",
                )
            )
        elif oldest > DUE_SECONDS_MAX:
            found.append(
                warning(
                    "queues",
                    f"a job in the queue {name} has been due for {oldest / 60:.0f} min",
                    "select jobd.explain('…') says why; more slots: JOBD_CONCURRENCY, or another daemon",
                )
            )
    return found or [ok("queues", "nothing waits for nobody")]
