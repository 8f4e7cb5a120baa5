from __future__ import annotations

import asyncpg
import pytest

from jobd.db.transient import Advice, ErrorClass, advice, error_class, why_away
from jobd.errors import DatabaseUnavailable
from jobd.metrics import ERROR_CLASSES


def error(sqlstate: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": sqlstate, "M": "x", "S": "ERROR"}, query="")


@pytest.mark.parametrize(
    ("sqlstate", "name", "what"),
    [
        ("40001", ErrorClass.SERIALIZATION, Advice.RETRY),
        ("40P01", ErrorClass.DEADLOCK, Advice.RETRY),
        ("55P03", ErrorClass.LOCK_TIMEOUT, Advice.RETRY),
        ("08006", ErrorClass.CONNECTION, Advice.RECONNECT),
        ("57P01", ErrorClass.CONNECTION, Advice.RECONNECT),
        ("57P03", ErrorClass.CONNECTION, Advice.RECONNECT),
        ("53100", ErrorClass.DISK_FULL, Advice.RECONNECT),
        ("53300", ErrorClass.TOO_MANY_CONNECTIONS, Advice.RECONNECT),
        ("25006", ErrorClass.READ_ONLY, Advice.RECONNECT),
        ("57014", ErrorClass.TIMEOUT, Advice.FAIL),
        ("23505", ErrorClass.CONSTRAINT, Advice.FAIL),
        ("22P02", ErrorClass.DATA, Advice.FAIL),
        ("42501", ErrorClass.PRIVILEGE, Advice.FAIL),
        ("42P01", ErrorClass.OTHER, Advice.FAIL),
        ("28P01", ErrorClass.PRIVILEGE, Advice.FAIL),
        ("JB001", ErrorClass.FENCE, Advice.FAIL),
        ("XX000", ErrorClass.OTHER, Advice.FAIL),
    ],
)
def test_an_sqlstate_has_a_class_and_an_advice(sqlstate: str, name: ErrorClass, what: Advice) -> None:
    assert (error_class(error(sqlstate)), advice(error(sqlstate))) == (name, what)


@pytest.mark.parametrize(
    "lost", [ConnectionResetError(), OSError(), TimeoutError(), asyncpg.InterfaceError("connection is closed")]
)
def test_what_the_network_does_asks_for_a_new_connection(lost: Exception) -> None:
    assert advice(lost) is Advice.RECONNECT
    assert error_class(lost) is not None


def test_what_is_no_error_of_the_database_is_not_counted_as_one() -> None:
    assert error_class(ValueError()) is None
    assert advice(ValueError()) is Advice.FAIL


def test_every_class_has_its_counter() -> None:
    assert set(ERROR_CLASSES) == set(ErrorClass)


def test_why_the_database_is_away_is_told_also_where_the_error_was_wrapped() -> None:
    assert why_away(error("25006")) == "the database is read-only"
    assert why_away(error("57P01")) == "the database is away"
    wrapped = DatabaseUnavailable("daemon_claim: TooManyConnectionsError")
    wrapped.__cause__ = error("53300")
    assert why_away(wrapped) == "the database takes no more connections"
