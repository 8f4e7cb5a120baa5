from __future__ import annotations

from uuid import UUID

import pytest

from jobd.client.refusals import Diagnosis, exception_for
from jobd.errors import (
    DatabaseUnavailable,
    DuplicateSubmission,
    JobdError,
    JobNotFound,
    JobRefused,
    LeaseLost,
    SchemaMismatch,
    StaleVersion,
)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("P0002", JobNotFound),
        ("23505", DuplicateSubmission),
        ("23514", JobRefused),
        ("22P02", JobRefused),
        ("42501", JobRefused),
        ("JB001", LeaseLost),
        ("JB005", JobRefused),
        ("42P01", SchemaMismatch),
        ("08006", DatabaseUnavailable),
        ("57P01", DatabaseUnavailable),
        ("53300", DatabaseUnavailable),
    ],
)
def test_every_sqlstate_is_an_exception_of_its_kind(sqlstate: str, kind: type[JobdError]) -> None:
    assert type(exception_for(Diagnosis(sqlstate, "no"))) is kind


def test_the_hint_stands_on_a_line_of_its_own() -> None:
    assert str(exception_for(Diagnosis("23514", "unknown option", hint="Did you mean key?"))) == (
        "unknown option\nDid you mean key?"
    )


def test_a_stale_version_is_told_from_a_conflict_between_transactions() -> None:
    stale = Diagnosis("40001", "job x has version 2, not 1", raised_by="exec_stmt_raise")
    conflict = Diagnosis("40001", "could not serialize access due to concurrent update", raised_by="heap_update")
    assert type(exception_for(stale)) is StaleVersion
    assert type(exception_for(conflict)) is JobdError
    assert "repeat the transaction" in str(exception_for(conflict))


def test_what_is_not_in_the_table_keeps_its_sqlstate() -> None:
    assert str(exception_for(Diagnosis("XX000", "oh no"))) == "oh no (SQLSTATE XX000)"


def test_the_job_that_holds_a_key_is_read_from_the_detail() -> None:
    holder = "01a20292-8efa-70fe-a907-e58758c101a3"
    duplicate = exception_for(Diagnosis("23505", "taken", detail=f"Existing job: {holder}"))
    assert isinstance(duplicate, DuplicateSubmission)
    assert duplicate.existing_job_id == UUID(holder)
    nameless = exception_for(Diagnosis("23505", "taken"))
    assert isinstance(nameless, DuplicateSubmission)
    assert nameless.existing_job_id is None
