"""deploy/logs.md lists every event that jobd logs, and no other, each with its fields."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([^`]+)` \| ([a-z]+) \| (\w+(?:, \w+)*) \|([^|]*)\|", re.MULTILINE)
LEVELS = {"debug", "info", "warning", "error"}


def written() -> dict[str, set[str]]:
    """The events that the page lists, with their fields."""
    rows = ROW.findall((ROOT / "deploy" / "logs.md").read_text())
    return {event: set(re.findall(r"`(\w+)`", fields)) for event, _, _, fields in rows}


def logged() -> dict[str, set[str]]:
    """The events in the code, with the fields that they are given."""
    events: dict[str, set[str]] = {}
    for path in sorted((ROOT / "jobd").rglob("*.py")):
        tree = ast.parse(path.read_text())
        # `write = _log.debug if … else _log.info` is a name for a logger too.
        names = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and _is_method(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_logger(node.func, names) and node.args:
                event = ast.literal_eval(node.args[-1])
                fields = {word.arg for word in node.keywords if word.arg}
                fields |= {
                    str(ast.literal_eval(key))
                    for word in node.keywords
                    if word.arg is None
                    for each in ast.walk(word.value)
                    if isinstance(each, ast.Dict)
                    for key in each.keys
                    if key is not None
                }
                events[event] = events.get(event, set()) | fields
    return events


def _is_logger(function: ast.expr, names: set[str]) -> bool:
    return (isinstance(function, ast.Name) and function.id in names) or _is_method(function)


def _is_method(node: ast.expr) -> bool:
    """Whether this is a logger's method, or a choice between some."""
    if isinstance(node, ast.IfExp):
        return _is_method(node.body) or _is_method(node.orelse)
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return named and node.value.id in {"_log", "logger"} and node.attr in {*LEVELS, "log"}  # type: ignore[attr-defined]


def test_every_event_is_listed_with_its_fields_and_no_other_is() -> None:
    found = logged()
    assert len(found) > 30
    # What a library's record has beside these is composed where it is met.
    found["library message"] |= {"error"}
    assert written() == found


def test_no_event_is_given_the_text_of_an_exception_but_of_a_wrong_setting() -> None:
    composed = {
        f"{path.relative_to(ROOT)}: {ast.unparse(word.value)}"
        for path in (ROOT / "jobd").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _is_method(node.func)
        for word in node.keywords
        if re.search(r"str\(|repr\(|\bf['\"]|traceback", ast.unparse(word.value))
    }
    # What is wrong with a setting is one line that names it and never quotes it.
    allowed = {"jobd/services/reloader.py: str(error)", "jobd/log.py: _literal(record)"}
    assert composed - allowed == set()
