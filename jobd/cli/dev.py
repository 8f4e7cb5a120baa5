"""``jobd dev``: a PostgreSQL and a daemon of one's own, for trying things out."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from rich.text import Text

from jobd.cli.screen import QUIET, screen
from jobd.cli.summary import next_step
from jobd.db import embedded, migrate
from jobd.settings import Settings

if TYPE_CHECKING:
    from jobd.db.embedded import EmbeddedServer

# Survives a restart of the machine; what is put there is a directory of our own.
SHARED_DIRECTORY = Path("/var/tmp")  # noqa: S108  see above


def dev(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where the database is kept from one time to the next.")
    ] = Path(".jobd-dev"),
    temporary: Annotated[bool, typer.Option("--temporary", help="Keep nothing.")] = False,
) -> None:
    """Try jobd out, with a PostgreSQL and a daemon of its own.

    Ctrl-C stops both. The daemon may read every file below the current directory.
    """
    from jobd import process  # noqa: PLC0415  numpy and all handlers, which no other command needs

    screen().print(Text("starting PostgreSQL …", style=QUIET))
    directory = None if temporary else place_for(data)
    with embedded.running(directory) as server:
        anyio.run(migrate.migrate, server.url())
        settings = Settings.load(
            database_url=server.url(),
            import_roots=(Path.cwd(),),
            metrics_listen="127.0.0.1:0",
            log_level="warning",
            log_format="console",
        )
        settings = settings.model_copy(update={"database_url_file": None, "notify_database_url": None})
        _welcome(server, directory)
        process.run(settings)
    screen().print("stopped.")


def place_for(data: Path) -> Path:
    """The directory for the database, which version control is to pass over.

    For root the server runs as another user, who must be able to get there: not below a closed home directory.
    """
    directory = data.absolute()
    parents = [parent for parent in directory.parents if parent.exists()]
    if os.geteuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in parents):
        digest = hashlib.sha256(bytes(directory)).hexdigest()[:8]
        directory = SHARED_DIRECTORY / f"jobd-dev-{digest}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    return directory


def _welcome(server: EmbeddedServer, directory: Path | None) -> None:
    psql = "psql" if shutil.which("psql") else shlex.quote(str(server.binaries / "psql"))
    create = f'{psql} $JOBD_DATABASE_URL -c "create table people (id int primary key, name text)"'
    console = screen()
    console.print("A PostgreSQL and a daemon are running. Ctrl-C stops both.\n")
    console.print(Text(f"  export JOBD_DATABASE_URL={server.url()}\n", style="bold"), soft_wrap=True)
    console.print("With this in another terminal:\n")
    for command, why in (
        (r"printf 'id,name\n1,Ada\n2,Grace\n' > people.csv", ""),
        (create, ""),
        ("jobd submit people.csv --target people --wait", ""),
        ("jobd list", "show, watch, errors and the rest: jobd --help"),
    ):
        console.print(next_step(command, why), soft_wrap=True)
    kept = f"kept in {directory}" if directory else "not kept"
    console.print(Text(f"\nFiles below {Path.cwd()} may be imported; the data is {kept}.", style=QUIET))
