"""What was found, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is: a problem keeps work from being done or endangers it, a warning may come to that."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """One answer. ``check`` is a stable name for programs; there is a remedy for whatever is not ok."""

    check: str
    level: Level
    message: str
    remedy: str | None = None


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Something may become a problem, or makes one harder to find."""
    return Finding(check, Level.WARNING, message, remedy)


def problem(check: str, message: str, remedy: str) -> Finding:
    """Something keeps work from being done, or endangers it."""
    return Finding(check, Level.PROBLEM, message, remedy)


def unknown(check: str, message: str, remedy: str) -> Finding:
    """The question could not be asked."""
    return Finding(check, Level.UNKNOWN, message, remedy)
