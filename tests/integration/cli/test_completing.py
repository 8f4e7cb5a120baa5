"""What the shell completes: by the function that bash is given, and as zsh and fish ask."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobd.cli.completion import Shell, script_for
from tests.support.environment import without_settings

if TYPE_CHECKING:
    from uuid import UUID

    from jobd.client import Client
    from tests.support.database import Database

PROGRAM = Path(sys.executable).with_name("jobd")
# As bash does it: the words of the line, the one that the cursor is in, then the function that `complete` names.
PRESS_TAB = """
source "$1"; shift
read -ra registered <<<"$(complete -p jobd)"
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
for word in "${!registered[@]}"; do
    [ "${registered[word]}" = -F ] && function=${registered[word + 1]}
done
"$function" jobd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


async def _run(*command: str, url: str = "", **variables: str) -> tuple[list[str], str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={
            **without_settings(),
            "PATH": f"{PROGRAM.parent}:/usr/bin:/bin",
            "JOBD_DATABASE_URL": url,
            **variables,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaints = await process.communicate()
    return [line for line in output.decode().splitlines() if line], complaints.decode()


async def _script() -> Path:
    """The file that bash reads, as it is installed; made once."""
    path = Path(tempfile.gettempdir()) / f"jobd-completion-{os.getpid()}.bash"
    if not path.exists():
        lines, _ = await _run("jobd", "completion", "bash")
        path.write_text("\n".join(lines) + "\n")
        atexit.register(path.unlink)
    return path


async def in_bash(url: str, *words: str, **variables: str) -> list[str]:
    """What pressing Tab behind these words offers; nothing else may be written."""
    lines, complaints = await _run(
        "bash", "--norc", "-c", PRESS_TAB, "bash", str(await _script()), "jobd", *words, url=url, **variables
    )
    assert complaints == ""
    return lines


@pytest.fixture
async def jobs(client: Client, database: Database) -> dict[str, UUID]:
    """One job of each kind that can be told apart."""
    made = {name: (await client.submit(f"/srv/in/{name}.csv", "public.t")).id for name in ("paused", "pending")}
    await client.pause(made["paused"])
    failed = await client.submit("/srv/in/failed.csv", "public.t", queue="nightly")
    await client.cancel(failed.id)
    return {**made, "cancelled": failed.id}


pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


async def test_commands_options_and_statuses_are_completed_without_a_database() -> None:
    assert await in_bash("postgresql://127.0.0.1:1/none", "res") == ["resume"]
    assert await in_bash("postgresql://127.0.0.1:1/none", "submit", "--dry") == ["--dry-run"]
    assert await in_bash("", "list", "--status", "p") == ["pending", "paused"]


async def test_ids_are_those_of_jobs_that_the_command_can_do_something_with(
    database: Database, jobs: dict[str, UUID]
) -> None:
    assert await in_bash(database.url, "resume", "") == [str(jobs["paused"])]
    assert await in_bash(database.url, "pause", "0") == [str(jobs["pending"])]
    assert await in_bash(database.url, "retry", str(jobs["cancelled"])[:9]) == [str(jobs["cancelled"])]
    newest_first = [str(jobs[name]) for name in ("cancelled", "pending", "paused")]
    assert await in_bash(database.url, "show", "") == newest_first
    assert await in_bash(database.url, "show", "zzz") == []
    # Those that the line names already are not offered again.
    assert await in_bash(database.url, "cancel", str(jobs["paused"]), "") == [str(jobs["pending"])]
    assert await in_bash("", "resume", "--database-url", database.url, "") == [str(jobs["paused"])]


async def test_queues_are_completed(database: Database, jobs: dict[str, UUID]) -> None:
    assert await in_bash(database.url, "submit", "--queue", "n") == ["nightly"]
    assert await in_bash(database.url, "list", "-q", "") == ["default", "nightly"]


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/none", "nonsense://", "postgresql://nobody@127.0.0.1:{port}/absent"]
)
async def test_nothing_is_said_where_the_database_is_away_or_refuses(database: Database, url: str) -> None:
    assert await in_bash(url.format(port=database.server.port), "show", "") == []


async def test_a_database_that_does_not_answer_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql://127.0.0.1:{deaf.getsockname()[1]}/app"
        began_at = time.monotonic()
        assert await in_bash(url, "show", "", JOBD_CONNECT_TIMEOUT_SECONDS="300") == []
        assert time.monotonic() - began_at < 60, "1.5 s, and what it takes to start"


async def test_zsh_and_fish_are_told_which_job_an_id_is(database: Database, jobs: dict[str, UUID]) -> None:
    line = {"_TYPER_COMPLETE_ARGS": "jobd resume "}
    zsh, complaints = await _run("jobd", url=database.url, _JOBD_COMPLETE="complete_zsh", **line)
    assert complaints == ""
    assert f'"{jobs["paused"]}":"paused paused.csv"' in "".join(zsh)
    fish, complaints = await _run(
        "jobd", url=database.url, _JOBD_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args", **line
    )
    assert complaints == ""
    assert fish == [f"{jobs['paused']}\tpaused paused.csv"]


def test_zsh_finds_its_mark_in_the_first_line_and_completes_at_the_first_tab_too() -> None:
    lines = script_for(Shell.ZSH).splitlines()
    assert lines[0] == "#compdef jobd"
    assert lines[-5:] == [
        'if [ "${funcstack[1]}" = _jobd ]; then',
        '  _jobd_completion "$@"',
        "else",
        "  compdef _jobd_completion jobd",
        "fi",
    ]


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
async def test_fish_completes_by_the_script_that_it_is_given(database: Database, jobs: dict[str, UUID]) -> None:
    (script := Path(tempfile.mkdtemp()) / "jobd.fish").write_text(script_for(Shell.FISH))
    pressed, _ = await _run(
        str(shutil.which("fish")), "--no-config", "-c", f'source {script}; complete -C "jobd resume "',
        url=database.url,
    )  # fmt: skip
    shutil.rmtree(script.parent)
    assert pressed == [f"{jobs['paused']}\tpaused paused.csv"]
