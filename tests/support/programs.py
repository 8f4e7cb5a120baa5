"""Programs that only a distribution has: found where it puts them, and missed aloud."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

# By the name of the Debian package.
_PLACES = {
    "prometheus": ("/usr/bin/prometheus",),
    "prometheus-alertmanager": ("/usr/bin/prometheus-alertmanager",),
    "pgbouncer": ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"),
    "postgresql-client": ("/usr/bin/psql",),
    "curl": ("/usr/bin/curl",),
    "libfaketime": (
        "/usr/lib/*/faketime/libfaketime.so.1",
        "/usr/lib*/faketime/libfaketime.so.1",
        "/usr/lib*/libfaketime.so.1",
    ),
}


def find(package: str) -> Path | None:
    """Where the package's program or library is; None: not on this machine."""
    named = shutil.which(package)
    if named is not None:
        return Path(named)
    found = (path for place in _PLACES[package] for path in Path("/").glob(place.removeprefix("/")))
    return next(found, None)


def need(package: str) -> Path:
    """The same; the test is skipped where it is missing, which the run says at its end."""
    found = find(package)
    if found is None:
        pytest.skip(f"{package} is not on this machine")
    return found


def absent() -> list[str]:
    """Those that this machine lacks."""
    return [package for package in _PLACES if find(package) is None]
