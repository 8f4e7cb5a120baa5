"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def count(number: int | None) -> str:
    """1,204,331; a dash for what is not known."""
    return "-" if number is None else f"{number:,}"


def percent(progress: float) -> str:
    """Whole percents; 100 is said only when it is so."""
    return "100 %" if progress >= 100 else f"{min(progress, 99.9):.0f} %" if progress < 99 else "99 %"


def rate(rows_per_second: float | None) -> str:
    """Rows per second, with as many digits as mean something."""
    if rows_per_second is None:
        return ""
    if rows_per_second < 10:
        return f"{rows_per_second:.1f} rows/s"
    digits = 100 if rows_per_second >= 10_000 else 10 if rows_per_second >= 1000 else 1
    return f"{round(rows_per_second / digits) * digits:,} rows/s"


def size(number: int | None) -> str:
    """Bytes with a unit that keeps the number short."""
    if number is None:
        return "-"
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit in {"B", "kB"} or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(seconds: float | None) -> str:
    """0.4 s · 12 s · 3 min 12 s · 1 h 02 min · 3 d 4 h."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def countdown(seconds: float) -> str:
    """Time that is left: no finer than it can be known."""
    return duration(max(round(seconds), 1)) if seconds >= MINUTE else f"{max(round(seconds), 1)} s"


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in one unit; or how far ahead."""
    if moment is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    text = _one_unit(abs(seconds))
    if text is None:
        return "now"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def moment(at: datetime | None) -> str:
    """A point in time, in the reader's own time zone."""
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock() -> str:
    """The time of day, for lines that follow one another."""
    return datetime.now(UTC).astimezone().strftime("%H:%M:%S")


def _one_unit(seconds: float) -> str | None:
    if seconds < 1:
        return None
    for unit, length in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= 2 * length or (unit != "min" and seconds >= length):
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s" if seconds < MINUTE else "1 min"
