"""A systemd of the tests' own: process 1 of its own namespaces, over a throw-away copy of this system."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOT = Path(__file__).with_name("boot.sh")
CGROUPS = Path("/sys/fs/cgroup")
PROGRAMS = ("unshare", "nsenter", "systemctl", "pivot_root", "hostname")
BOOT_SECONDS_MAX = 60
COMMAND_SECONDS_MAX = 120
LOOK_SECONDS = 0.05
VARIABLES = (
    "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "LD_LIBRARY_PATH=/opt/python/lib",
)


def obstacle() -> str | None:
    """Why no systemd can be booted here; None when one can be tried."""
    if os.geteuid() != 0:
        return "a systemd of the tests' own needs root"
    if not Path("/lib/systemd/systemd").exists():
        return "there is no systemd on this system"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"missing programs: {', '.join(missing)}"
    probe = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"namespaces are forbidden here: {probe.stderr.strip()}" if probe.returncode else None


@dataclass
class Box:
    """A running systemd. Commands run inside it; ``exchange`` is a directory that both sides see."""

    pid: int
    exchange: Path

    def run(self, *command: str, check: bool = True, stdin: str = "", timeout: float = COMMAND_SECONDS_MAX) -> str:
        """The output of a command inside."""
        done = self.tried(*command, stdin=stdin, timeout=timeout)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def tried(
        self, *command: str, stdin: str = "", timeout: float = COMMAND_SECONDS_MAX
    ) -> subprocess.CompletedProcess[str]:
        """A command inside, however it ends."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-a", "--", "env", "-i", *VARIABLES, *command],
            input=stdin, capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Put a file inside."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def until(self, unit: str, name: str, *wanted: str, within: float = 30.0) -> str:
        """Wait until a property of a unit holds one of these words."""
        deadline = time.monotonic() + within
        while True:
            seen = self.property(unit, name)
            if any(word in seen for word in wanted):
                return seen
            assert time.monotonic() < deadline, f"{unit} {name}: {seen!r}, not {wanted}\n{self.status(unit)}"
            time.sleep(LOOK_SECONDS)

    def status(self, unit: str) -> str:
        """What people look at first."""
        return self.run("systemctl", "status", "--no-pager", "--full", "-n", "40", unit, check=False)

    def journal(self, unit: str, *matches: str) -> list[dict[str, Any]]:
        """The unit's entries in the journal."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "-u", unit, "-o", "json", "--all", *matches).splitlines()
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def booted(site_packages: Path, systemd: Path | None = None) -> Iterator[Box]:
    """A systemd for the time of a ``with`` block, this system's unless one is given; it leaves nothing behind."""
    directory = Path(tempfile.mkdtemp(prefix="jobd-box-"))
    directory.chmod(0o755)
    for name in ("root", "exchange"):
        (directory / name).mkdir(mode=0o755)
    groups = _groups(directory.name)
    # The shell enters the groups before it becomes the program that makes a namespace of them.
    entering = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in groups)
    command = [
        "bash", "-ec", f'{entering}; exec "$@"', "bash",
        "unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--kill-child",
        "bash", str(BOOT), str(directory), sys.base_prefix, str(site_packages), str(systemd or ""),
    ]  # fmt: skip
    with (directory / "boot.log").open("wb") as log:
        outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        box = Box(_child_of(outer, directory / "boot.log"), directory / "exchange")
        _await_boot(box)
        yield box
    finally:
        outer.kill()  # and the kernel everything in its namespaces
        outer.wait()
        for group in groups:
            _remove(group)
        shutil.rmtree(directory, ignore_errors=True)


def _groups(name: str) -> list[Path]:
    """Control groups of the box's own: on a system of the first version one for each controller that is used."""
    if (CGROUPS / "cgroup.controllers").exists():
        places = [CGROUPS]
    else:
        names = ("unified", "memory", "pids", "cpu", "systemd")
        places = [CGROUPS / name for name in names if (CGROUPS / name).is_dir()]
    groups = [place / name for place in places]
    for group in groups:
        group.mkdir()
    return groups


def _remove(group: Path) -> None:
    """Remove a control group with those below it, once the kernel has buried their processes."""
    deadline = time.monotonic() + 10
    for path in [*sorted(group.rglob("*/"), key=lambda found: -len(found.parts)), group]:
        while path.is_dir():
            with contextlib.suppress(OSError):
                path.rmdir()
                break
            if time.monotonic() > deadline:
                return
            time.sleep(LOOK_SECONDS)


def _child_of(outer: subprocess.Popen[bytes], log: Path) -> int:
    """Process 1 of the box, by its id out here."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + BOOT_SECONDS_MAX
    while time.monotonic() < deadline:
        assert outer.poll() is None, f"the box does not boot: {log.read_text()}"
        for child in children.read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"the box does not boot: {log.read_text()}")


def _await_boot(box: Box) -> None:
    deadline = time.monotonic() + BOOT_SECONDS_MAX
    state = ""
    while state not in {"running", "degraded"}:
        assert time.monotonic() < deadline, f"the box does not come up: {state}"
        state = box.run("systemctl", "is-system-running", check=False).strip()
        time.sleep(LOOK_SECONDS)
