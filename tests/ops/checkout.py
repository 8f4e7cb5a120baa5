"""The release before this one, from the repository's own history, to run beside this one."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobd.db.schema_text import OLDEST_SUPPORTED, directory
from tests.support.environment import without_settings

if TYPE_CHECKING:
    from tests.support.database import Database

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checkout:
    """The tree of another commit; its programs run with this environment's dependencies."""

    path: Path
    commit: str

    @property
    def variables(self) -> dict[str, str]:
        """What makes Python take jobd, and the routines of tests, from there."""
        return {"PYTHONPATH": str(self.path), "PYTHONSAFEPATH": "1"}

    def jobd(self, database: Database, *arguments: str) -> str:
        """Run a command of that release."""
        completed = subprocess.run(
            [sys.executable, "-m", "jobd", *arguments],
            env={**without_settings(), **self.variables, "JOBD_DATABASE_URL": database.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout


def release_before(directory: Path) -> Checkout:
    """The last tagged release; until there is one, the commit before the first migration since then was added."""
    commit = _tagged() or _before_migrations()
    if commit is None:
        pytest.skip("the release before was NOT tried: this copy lacks its commit (a shallow clone, an archive)")
    path = directory / f"release-{commit[:12]}"
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(path, filter="data")
    return Checkout(path, commit)


def _tagged() -> str | None:
    """The newest tag whose schema is the one that this release can work on."""
    for tag in (_git("tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD") or "").split():
        names = (_git("ls-tree", "--name-only", tag, "sql/migrations/") or "").split()
        if len([name for name in names if name.endswith(".sql")]) == OLDEST_SUPPORTED:
            return _git("rev-parse", f"{tag}^{{commit}}")
    return None


def _before_migrations() -> str | None:
    first = next((directory() / "migrations").glob(f"{OLDEST_SUPPORTED + 1:04}_*.sql"), None)
    if first is None:
        return None
    added = _git("log", "--diff-filter=A", "--format=%H", "--", f"sql/migrations/{first.name}")
    return _git("rev-parse", "--verify", "--quiet", f"{added.split()[-1]}^") if added else None


def _git(*arguments: str) -> str | None:
    """What git answers; None where it has no answer."""
    try:
        completed = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        return None
    return completed.stdout.strip() or None if completed.returncode == 0 else None
