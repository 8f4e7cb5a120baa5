from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any
from uuid import UUID

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
    assert (line["event"], line["part"]) == ("library message", "asyncpg.pool")
    assert line["template"] == "could not reach %s"
    assert line["error"]["class"] == "ValueError"
    assert "secret" not in json.dumps(line)
    assert "Jane" not in json.dumps(line)


def test_a_text_that_a_library_composed_itself_is_told_by_its_place_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure()
    logging.getLogger("library").error(f"cannot read {'Ja' + 'ne'}")  # noqa: G004  what libraries do
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "never retrieved", "future": "<Task Jane>"})
    loop.close()
    composed, by_asyncio = lines(capsys)
    assert composed["template"] is None
    assert composed["at"].startswith("test_log:")
    assert by_asyncio["part"] == "asyncio"
    assert "Jane" not in json.dumps([composed, by_asyncio])


def test_what_the_interpreter_would_print_is_logged_without_its_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    log.configure()
    log.guard_process()
    try:
        thread = threading.Thread(target=int, args=("Jane",))
        thread.start()
        thread.join()
        warnings.showwarning("Jane", UserWarning, "file.py", 1)
    finally:
        logging.captureWarnings(capture=False)
    printed = capsys.readouterr().err
    assert "Jane" not in printed
    assert "Traceback" not in printed
    events = [json.loads(line)["event"] for line in printed.splitlines()]
    assert events == ["uncaught error", "library message"]


def test_an_event_becomes_fields_of_the_journal_that_can_be_asked_for() -> None:
    event = {"event": "attempt ended", "level": "warning", "timestamp": "now", "part": "finisher",
             "job_id": UUID(int=42), "error": {"class": "DataError"}}  # fmt: skip
    ((fields, line), _) = log._to_journal(None, "warning", event)
    assert fields == {
        "MESSAGE": 'attempt ended: job_id=00000000-0000-0000-0000-00000000002a error={"class":"DataError"}',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "jobd",
        "JOBD_EVENT": "attempt ended",
        "JOBD_PART": "finisher",
        "JOBD_JOB_ID": "00000000-0000-0000-0000-00000000002a",
        "JOBD_ERROR": '{"class":"DataError"}',
    }
    assert json.loads(line) == {**event, "job_id": str(event["job_id"])}


def test_the_level_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("warning")
    log.get("test").info("not this")
    log.get("test").warning("but this")
    assert [line["event"] for line in lines(capsys)] == ["but this"]


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "console")
    log.get("test").info("hello", number=1)
    assert "hello" in capsys.readouterr().err
