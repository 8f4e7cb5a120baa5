"""``jobd install``: the files that run this installation of jobd as a service of this host."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jobd.cli.exits import Misused
from jobd.cli.screen import complaints
from jobd.errors import ConfigurationError
from jobd.settings import ENVIRONMENT_PATTERN

_PACKAGE = Path(__file__).parents[1]
UNITS = Path("etc/systemd/system")
DROP_INS = UNITS / "jobd@.service.d"
# What the unit names where nothing else is said, and what stands there instead on this host.
EXAMPLE_PROGRAM = "/opt/jobd/bin/jobd"
# Directories that ProtectHome= and PrivateTmp= hide from the service.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  named, not written to
# From this release on systemd knows the settings of 10-systemd-254.conf; older ones pass over them with a warning.
RELOADING_SINCE = 254

EXAMPLE_ENVIRONMENT = "# JOBD_ENVIRONMENT=production"

_READABLE = (
    "  chgrp jobd /etc/jobd/credentials /etc/jobd/credentials/database-url",
    "  chmod 0750 /etc/jobd/credentials && chmod 0640 /etc/jobd/credentials/database-url",
)


@dataclass(frozen=True)
class File:
    """One file of the host, by its path below the root directory."""

    path: Path
    text: str
    is_kept: bool = False  # it is the operator's once it is there


def install(
    systemd: Annotated[bool, typer.Option("--systemd", help="The files for systemd (the only ones yet).")] = False,
    instance: Annotated[str, typer.Option("--instance", metavar="NAME", help="The daemon's name.")] = "main",
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="NETWORK",
            help="Let it reach this address or network, beside this host; `any` for all. May be repeated.",
        ),
    ] = None,
    submitter_secret: Annotated[
        bool, typer.Option("--submitter-secret", help="Submitters' logins have passwords: pass it their secret.")
    ] = False,
    *,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment", metavar="NAME", help="What the database belongs to, as `jobd migrate` was told."
        ),
    ] = None,
    rotating: Annotated[
        bool, typer.Option("--rotating", help="The database's password is to be changed without a restart.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Write them below this directory (/ for this host itself)."),
    ] = None,
) -> None:
    """Print the files that run this jobd as a service of this host.

    With --write they are written: units anew, settings only where there are none yet. Nothing is started.
    """
    if not systemd:
        raise Misused("say for what: jobd install --systemd")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", instance):
        raise Misused("--instance: letters, digits, and _ . - only")
    if environment is not None and not re.fullmatch(ENVIRONMENT_PATTERN, environment):
        raise Misused("--environment: letters, digits, and _ . - only, 63 at most")
    networks = [_network(text) for text in allow or ()]
    files = files_of_systemd(
        instance, networks, with_secret=submitter_secret, is_rotating=rotating, environment=environment
    )
    if write is None:
        for file in files:
            typer.echo(f"# --- /{file.path}\n{file.text}")
    else:
        for file in files:
            typer.echo(f"{_write(write, file):9} {write / file.path}")
        (write / "etc/jobd/credentials").mkdir(mode=0o700, exist_ok=True)
    console = complaints()
    steps = _next_steps(instance, is_written=write is not None, with_secret=submitter_secret, is_rotating=rotating)
    for line in [*_warnings(), *steps]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def files_of_systemd(
    instance: str,
    networks: list[str],
    *,
    with_secret: bool,
    is_rotating: bool = False,
    environment: str | None = None,
) -> list[File]:
    """Everything that systemd is to read on this host, and the settings of one daemon."""
    source = directory() / "systemd"
    unit = (source / "jobd@.service").read_text(encoding="utf-8").replace(EXAMPLE_PROGRAM, program())
    files = [
        File(UNITS / "jobd@.service", unit),
        *(
            File(UNITS / name, (source / name).read_text(encoding="utf-8"))
            for name in ("jobd.target", "jobd.slice")
        ),
    ]
    drop_ins = {"10-systemd-254.conf": (systemd_version() or 0) >= RELOADING_SINCE,
                "20-submitter-secret.conf": with_secret, "25-rotation.conf": is_rotating}  # fmt: skip
    for name, is_wanted in drop_ins.items():
        if is_wanted:
            text = (source / "jobd@.service.d" / name).read_text(encoding="utf-8")
            files.append(File(DROP_INS / name, text))
    if networks:
        files.append(File(DROP_INS / "30-network.conf", f"[Service]\nIPAddressAllow={' '.join(networks)}\n"))
    files.append(File(Path("etc/sysusers.d/jobd.conf"), (source / "jobd.sysusers").read_text(encoding="utf-8")))
    settings = (source / "jobd.env").read_text(encoding="utf-8").replace("jobd@main", f"jobd@{instance}")
    if environment is not None:
        settings = settings.replace(EXAMPLE_ENVIRONMENT, f"JOBD_ENVIRONMENT={environment}")
    files.append(File(Path("etc/jobd") / f"{instance}.env", settings, is_kept=True))
    return files


def directory() -> Path:
    """Where the files are: in the wheel inside the package, in a checkout beside it."""
    for candidate in (_PACKAGE / "_deploy", _PACKAGE.parent / "deploy"):
        if (candidate / "systemd").is_dir():
            return candidate
    raise ConfigurationError("this installation of jobd lacks its deployment files (jobd/_deploy)")


def program() -> str:
    """This installation's own program, as a unit names it."""
    script = Path(sys.executable).with_name("jobd")
    words = [str(script)] if script.exists() else [sys.executable, "-m", "jobd"]
    return " ".join(f'"{word}"' if " " in word else word for word in words).replace("%", "%%")


def systemd_version() -> int | None:
    """The release of systemd on this host; None where there is none."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return None
    said = subprocess.run([systemctl, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.match(r"systemd (\d+)", said)
    return None if found is None else int(found[1])


def _network(text: str) -> str:
    if text in {"any", "localhost", "link-local", "multicast"}:
        return text  # systemd's own words
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise Misused(f"--allow {text}: not an address or a network, like 192.0.2.7 or 10.0.0.0/8") from None


def _write(root: Path, file: File) -> str:
    """Write the file; tells what became of it."""
    path = root / file.path
    if path.exists() and (file.is_kept or path.read_text(encoding="utf-8") == file.text):
        return "kept"
    word = "replaced" if path.exists() else "written"
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_text(file.text, encoding="utf-8")
    path.chmod(0o644)
    return word


def _warnings() -> list[str]:
    places = {str(Path(sys.executable)), str(Path(sys.executable).resolve()), str(_PACKAGE)}
    hidden = sorted(place for place in places if place.startswith(tuple(f"{top}/" for top in HIDDEN)))
    warnings = [f"warning: the service cannot see {place}; install jobd below /opt" for place in hidden]
    if systemd_version() is None:
        warnings.append("warning: no systemd was found here; the files are for one older than 254")
    return warnings


def _next_steps(instance: str, *, is_written: bool, with_secret: bool, is_rotating: bool) -> list[str]:
    folder = "/etc/jobd/credentials"
    secrets = ["database-url", *(["submitter-secret"] if with_secret else [])]
    return [
        "" if is_written else "\nTo write them: the same with --write /",
        "Next, as root:",
        "  systemd-sysusers",
        *(f"  install -m 0600 /dev/stdin {folder}/{name}    # paste it, then Ctrl-D" for name in secrets),
        *(_READABLE if is_rotating else ()),
        f"  editor /etc/jobd/{instance}.env",
        "  systemctl daemon-reload",
        f"  systemctl enable --now jobd.target jobd@{instance}",
        f"  systemctl status jobd@{instance}",
    ]
