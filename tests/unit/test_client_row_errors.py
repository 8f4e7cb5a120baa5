from __future__ import annotations

from typing import Any

import pytest

from jobd.client.row_errors import exception_of
from jobd.errors import DuplicateError, ParseError, RowRefused, ValidationError


def row(error_type: str, field: str | None = None, raw_data: str | None = None) -> dict[str, Any]:
    return {
        "error_type": error_type,
        "code": "code",
        "message": "no good",
        "row_number": 3,
        "line_number": 4,
        "field": field,
        "raw_data": raw_data,
    }


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("parse", ParseError),
        ("validation", ValidationError),
        ("duplicate", DuplicateError),
        ("system", RowRefused),
        ("of a later release", RowRefused),
    ],
)
def test_every_error_type_is_an_exception_of_its_kind(error_type: str, kind: type[RowRefused]) -> None:
    refused = exception_of(row(error_type, raw_data="x"))
    assert type(refused) is kind
    assert (refused.row, refused.line, refused.raw_data, str(refused)) == (3, 4, "x", "no good")


@pytest.mark.parametrize(
    ("field", "raw_data", "key"),
    [
        ("id", "7", {"id": "7"}),
        ("year, flight", "2013, UA12", {"year": "2013", "flight": "UA12"}),
        ("year, name", "2013, Lovelace, Ada", {"year, name": "2013, Lovelace, Ada"}),
    ],
)
def test_a_duplicate_names_the_key_that_is_there(field: str, raw_data: str, key: dict[str, str]) -> None:
    refused = exception_of(row("duplicate", field, raw_data))
    assert isinstance(refused, DuplicateError)
    assert refused.existing_key == key
