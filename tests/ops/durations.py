"""The rules, and who is told of them, in a time that runs quicker: every duration divided by one number.

An expression is taken apart into its tokens, so that what only looks like a duration (part of a metric's name, of
a label's value, of a comment) stays as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLISECONDS = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
# What holds a duration in the files of Prometheus and Alertmanager.
DURATIONS = frozenset(
    {
        "for", "keep_firing_for", "interval", "scrape_interval", "evaluation_interval", "scrape_timeout",
        "group_wait", "group_interval", "repeat_interval", "resolve_timeout",
    }
)  # fmt: skip
# Ages that nothing but time brings about, and that are asked for by the quarter of an hour: what they are compared
# with is a duration, too. Thresholds of all other metrics stay as they are.
AGES = frozenset({"jobd_job_unmoved_seconds", "jobd_oldest_transaction_age_seconds"})
_PART = r"\d+(?:ms|[smhdwy])"
_DURATION = re.compile(rf"(?:{_PART})+")
_TOKEN = re.compile(
    rf"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<comment>\#[^\n]*)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<duration>(?:{_PART})+)(?![A-Za-z0-9_])
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    |(?P<space>\s+)
    |(?P<sign>[<>=!]=|=~|!~|[-+*/%^(){{}}\[\],:<>=@])""",
    re.VERBOSE,
)


def tokens(expression: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each token; together they are the expression."""
    at = 0
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"no PromQL at {expression[at : at + 20]!r}")
        # A subquery's colon belongs to no name: [1h:5m].
        text, kind = found[0], found.lastgroup
        if kind == "name" and text.startswith(":"):
            text, kind = ":", "sign"
        yield kind, text
        at += len(text)


def quicker(expression: str, factor: int) -> str:
    """The expression with every duration divided, and the thresholds of ``AGES``."""
    written, age_is_compared, of_age = [], False, False
    for kind, text in tokens(expression):
        new = text
        if kind == "duration":
            new = shorter(text, factor)
        elif kind == "number" and age_is_compared:
            new = f"{float(text) / factor:g}"
        # Between an age and the number that it is compared with there are only closing parentheses.
        age_is_compared = (kind == "space" and age_is_compared) or (
            of_age and text in {"<", ">", "<=", ">=", "=="}
        )
        of_age = text in AGES or (of_age and (kind == "space" or text == ")"))
        written.append(new)
    return "".join(written)


def shorter(duration: str, factor: int, at_least: str = "0s") -> str:
    """That part of a duration."""
    milliseconds = max(_milliseconds(duration) // factor, _milliseconds(at_least))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def quicker_file(content: Any, factor: int, at_least: str = "0s") -> Any:
    """What a YAML file of Prometheus' or Alertmanager's says, the same except for its durations.

    ``at_least`` is for the intervals: a daemon needs real time to answer, whatever everything else is divided by.
    Rules then see fewer samples than they do in use, never more.
    """
    if isinstance(content, list):
        return [quicker_file(each, factor, at_least) for each in content]
    if not isinstance(content, dict):
        return content
    new = {}
    for name, value in content.items():
        if name == "expr":
            new[name] = quicker(value, factor)
        elif name in DURATIONS:
            new[name] = shorter(value, factor, at_least if name.endswith("interval") else "0s")
        else:
            new[name] = quicker_file(value, factor, at_least)
    return new


def seconds(duration: str) -> float:
    """A duration in seconds."""
    return _milliseconds(duration) / 1000


def _milliseconds(duration: str) -> int:
    if not _DURATION.fullmatch(duration):
        raise ValueError(f"{duration!r} is no duration")
    return sum(int(number) * MILLISECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))
