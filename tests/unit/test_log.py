from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from jobd import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def root_logger_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def refused() -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new(
        {"C": "23505", "M": "Key (name)=(Jane) already exists", "D": "Jane", "n": "people_pkey", "t": "people"},
        query="insert into people values ('Jane')",
    )


def test_an_error_is_told_by_its_names_and_never_by_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    try:
        raise refused()
    except asyncpg.PostgresError as error:
        log.get("test").warning("it broke", error=error)
    (line,) = lines(capsys)
    assert line["error"]["sqlstate"] == "23505"
    assert line["error"]["constraint_name"] == "people_pkey"
    assert line["error"]["table_name"] == "people"
    assert "Jane" not in json.dumps(line)


def test_a_group_of_errors_is_told_part_by_part() -> None:
    described = log.describe(ExceptionGroup("several", [refused(), ValueError("Jane")]))
    assert [part["class"] for part in described["errors"]] == ["UniqueViolationError", "ValueError"]
    assert "Jane" not in json.dumps(described)


def test_libraries_log_without_their_values(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    try:
        int("Jane")
    except ValueError:
        logging.getLogger("asyncpg.pool").exception("could not reach %s", "postgresql://u:secret@h")
    (line,) = lines(capsys)
    assert line["event"] == "could not reach %s"
    assert line["error"]["class"] == "ValueError"
    assert "secret" not in json.dumps(line)
    assert "Jane" not in json.dumps(line)


def test_the_level_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("warning")
    log.get("test").info("not this")
    log.get("test").warning("but this")
    assert [line["event"] for line in lines(capsys)] == ["but this"]


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "console")
    log.get("test").info("hello", number=1)
    assert "hello" in capsys.readouterr().err
