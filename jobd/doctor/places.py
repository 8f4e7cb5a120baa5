"""Directories that jobd reads from and writes to on this host."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from anyio import to_thread

from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from pathlib import Path

    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

FREE_SHARE_MIN = 0.05


async def roots(patient: Patient) -> list[Finding]:
    """Roots that are there and may be read, and a spool that may be written."""
    return await to_thread.run_sync(_look, patient.settings.import_roots, patient.settings.spool)


def _look(import_roots: tuple[Path, ...], spool: Path | None) -> list[Finding]:
    if not import_roots and spool is None:
        return [
            warning(
                "import_roots",
                "JOBD_IMPORT_ROOTS names no directory: no local file may be imported",
                "set it, unless everything comes by blob: or over the network",
            )
        ]
    found = []
    for root in import_roots:
        reason = _why_not(root, os.R_OK | os.X_OK, "read")
        found.append(ok("import_roots", f"{root} can be read") if reason is None else reason)
    if spool is not None:
        reason = _why_not(spool, os.R_OK | os.W_OK | os.X_OK, "written")
        found.append(reason or _room(spool))
    return found


def _why_not(path: Path, mode: int, what: str) -> Finding | None:
    check = "import_roots" if what == "read" else "spool"
    waits = "jobs that read from it wait until it is there"
    if not path.exists():
        return problem(check, f"{path} does not exist on this host; {waits}", f"mount or make it: mkdir -p {path}")
    if not path.is_dir():
        return problem(check, f"{path} is no directory", "name the directory instead")
    if not os.access(path, mode):
        return problem(
            check, f"{path} cannot be {what} by this user; run doctor as the daemon's", f"look at: namei -l {path}"
        )
    return None


def _room(path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    if usage.free < usage.total * FREE_SHARE_MIN:
        return warning(
            "spool",
            f"{path}: only {usage.free / 1e9:.1f} GB are free",
            "make room; what is left of old uploads may go",
        )
    return ok("spool", f"{path} can be written; {usage.free / 1e9:.0f} GB are free")
