from __future__ import annotations

from typing import Any

import pytest

from jobd.errors import OptionError
from jobd.model.options import KNOWN, NOT_BUILT, ErrorLimit, ImportOptions, OnConflict

CONTRACT_OPTIONS = [
    "key",
    "on_conflict",
    "columns",
    "constants",
    "null_values",
    "trim",
    "decimal",
    "thousands",
    "true_values",
    "false_values",
    "date_format",
    "time_zone",
    "update_columns",
    "blank",
    "provenance",
    "on_missing",
    "delete_when",
    "timeout",
    "schema",
    "similar",
    "batch_size",
    "max_errors",
    "atomic",
    "track_changes",
    "force",
    "changed_only",
    "on_file_error",
    "delimiter",
    "quote",
    "escape",
    "encoding",
    "comment",
    "skip_rows",
    "header",
    "ragged",
    "rest",
    "records_path",
    "pattern",
    "separator",
    "ignore_unknown",
    "optional",
]


def test_every_option_of_the_contract_is_known() -> None:
    assert set(CONTRACT_OPTIONS) | {"hold_on_failure"} == KNOWN


def test_without_options_the_defaults_of_the_contract_hold() -> None:
    options = ImportOptions.parse({})
    assert options.on_conflict is OnConflict.UPDATE
    assert options.key is None
    assert options.null_values == ("",)
    assert options.header is True
    assert options.max_errors == ErrorLimit()
    assert options == ImportOptions.parse({"key": None, "columns": None})


def test_values_arrive_typed() -> None:
    options = ImportOptions.parse(
        {
            "key": ["a", "b"],
            "on_conflict": "skip",
            "columns": {"A": "a"},
            "constants": {"c": 1},
            "null_values": {"a": ["NA", ""]},
            "header": 2,
            "delimiter": "\t",
            "quote": "'",
            "escape": "\\",
            "encoding": " latin1 ",
            "batch_size": 5,
            "timeout": 3,
            "force": True,
            "ignore_unknown": True,
            "optional": ["A"],
            "ragged": "error",
        }
    )
    assert options.key == ("a", "b")
    assert options.on_conflict is OnConflict.SKIP
    assert options.null_values == {"a": ("NA", "")}
    assert options.header == 2
    assert options.encoding == "latin1"
    assert options.timeout == 3.0
    assert options.optional == ("A",)


@pytest.mark.parametrize("name", sorted(NOT_BUILT))
def test_an_option_that_is_not_built_is_refused_by_name(name: str) -> None:
    with pytest.raises(OptionError, match=f"option {name} is not built") as caught:
        ImportOptions.parse({name: True})
    assert caught.value.error_code == "option_not_built"


def test_an_unknown_option_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(OptionError, match="did you mean batch_size") as caught:
        ImportOptions.parse({"batchsize": 1})
    assert caught.value.error_code == "option_invalid"
    with pytest.raises(OptionError, match=r"option zzzz is not known$"):
        ImportOptions.parse({"zzzz": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", 5),
        ("key", ["a", "a"]),
        ("key", [""]),
        ("on_conflict", "merge"),
        ("on_conflict", ["skip"]),
        ("columns", ["a"]),
        ("columns", {"a": 1}),
        ("constants", "x"),
        ("constants", {"": 1}),
        ("null_values", 5),
        ("null_values", [1]),
        ("null_values", {"a": 1}),
        ("header", 0),
        ("header", "yes"),
        ("header", 1000),
        ("delimiter", "ab"),
        ("delimiter", "a"),
        ("delimiter", "\n"),
        ("delimiter", 5),
        ("quote", "ä"),
        ("encoding", " "),
        ("encoding", 5),
        ("batch_size", 0),
        ("batch_size", True),
        ("batch_size", 10_000_000),
        ("max_errors", -1),
        ("max_errors", "x%"),
        ("max_errors", "120%"),
        ("max_errors", "many"),
        ("max_errors", True),
        ("timeout", 0),
        ("timeout", "1"),
        ("timeout", float("inf")),
        ("force", "yes"),
        ("ignore_unknown", 1),
        ("optional", {"a": 1}),
    ],
)
def test_an_impossible_value_is_refused_with_the_option_s_name_and_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"option {name} must be .+; it is ") as caught:
        ImportOptions.parse({name: value})
    assert caught.value.error_code == "option_invalid"


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(OptionError) as caught:
        ImportOptions.parse({"key": ["a" * 500, 1]})
    assert len(str(caught.value)) < 200


def test_the_delimiter_must_differ_from_the_quote() -> None:
    with pytest.raises(OptionError, match="delimiter must differ"):
        ImportOptions.parse({"delimiter": '"'})
    with pytest.raises(OptionError, match="delimiter must differ"):
        ImportOptions.parse({"delimiter": ";", "quote": ";"})


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (0, ErrorLimit(count=0)),
        ("12", ErrorLimit(count=12)),
        ("1%", ErrorLimit(share=0.01)),
        (" 0.5% ", ErrorLimit(share=0.005)),
        ("0%", ErrorLimit(share=0.0)),
    ],
)
def test_max_errors_is_a_count_or_a_share(value: Any, limit: ErrorLimit) -> None:
    assert ImportOptions.parse({"max_errors": value}).max_errors == limit


def test_one_name_stands_for_a_list_of_one() -> None:
    options = ImportOptions.parse({"key": "id", "null_values": "NA"})
    assert options.key == ("id",)
    assert options.null_values == ("NA",)
