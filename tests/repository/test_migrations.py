"""Each migration says what it does to daemons that are at work, and does no more than it says."""

from __future__ import annotations

import re

import pytest

from jobd.db import schema_text
from jobd.errors import ConfigurationError

TEXT = schema_text.load()
# Those that no release brought yet when the rules were made are not rewritten.
NEW = TEXT.migrations[schema_text.OLDEST_SUPPORTED :]
REMOVES = re.compile(
    r"\bdrop (?:table|view|column|type|index|constraint)\b|\brename\b|\balter column \w+ (?:set data )?type\b"
    r"|\bset not null\b|\balter column \w+ set default\b",
    re.IGNORECASE,
)
# What reads, rewrites or locks a large table for as long as it has rows.
SLOW = re.compile(
    r"\bcreate (?:unique )?index (?!concurrently)[^;]* on jobd\.job\b|\bupdate jobd\.job\b"
    r"|\balter table jobd\.job\b[^;]*\b(?:type|set not null|generated always|references)\b"
    r"|\balter table jobd\.job\b[^;]*\bcheck\b(?![^;]*\bnot valid\b)"
    r"|\balter table jobd\.job\b[^;]*\bdefault (?:clock_timestamp|gen_random_uuid|random|jobd\.)",
    re.IGNORECASE,
)
DROPPED_FUNCTION = re.compile(r"drop function (?:if exists )?jobd\.(\w+)", re.IGNORECASE)


def statements(part: schema_text.Part) -> str:
    return re.sub(r"--.*", "", part.sql)


def test_every_migration_says_in_its_first_line_whether_it_expands_or_contracts() -> None:
    for part in TEXT.migrations:
        least = part.compatible_from
        assert least is None or schema_text.OLDEST_SUPPORTED <= least < int(part.name[11:15]), part.name


@pytest.mark.parametrize(
    "line", ["-- Adds a column.", "-- expand.", "-- Contract.", "-- Contract: for daemons that know schema x."]
)
def test_a_first_line_that_says_something_else_is_refused(line: str) -> None:
    with pytest.raises(ConfigurationError, match="its first line must be"):
        _ = schema_text.Part("migrations/0099_any.sql", f"{line}\nselect 1;").compatible_from


@pytest.mark.parametrize("part", NEW, ids=lambda part: part.name)
def test_an_expand_step_removes_nothing_that_the_release_before_uses(part: schema_text.Part) -> None:
    if part.compatible_from is None:
        assert REMOVES.findall(statements(part)) == []
        # Functions are only made anew, with parameters that may be left out.
        made = {path.stem for path in (schema_text.directory() / "functions").glob("*.sql")}
        assert set(DROPPED_FUNCTION.findall(statements(part))) <= made


@pytest.mark.parametrize("part", NEW, ids=lambda part: part.name)
def test_no_migration_rewrites_or_reads_through_the_table_of_jobs(part: schema_text.Part) -> None:
    assert SLOW.findall(statements(part)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "create index x on jobd.job (queue)",
        "update jobd.job set tenant = ''",
        "alter table jobd.job alter column tenant type varchar",
        "alter table jobd.job add column a int check (a > 0)",
        "alter table jobd.job add column a uuid default gen_random_uuid()",
    ],
)
def test_what_is_slow_is_found(sql: str) -> None:
    assert SLOW.search(sql)


def test_every_expand_step_since_the_release_before_has_a_way_back_that_says_what_is_lost() -> None:
    ways = {number: part for number, part in TEXT.downs.items() if number > schema_text.OLDEST_SUPPORTED}
    wanted = {
        number: part
        for number, part in enumerate(TEXT.migrations, start=1)
        if number > schema_text.OLDEST_SUPPORTED and part.compatible_from is None
    }
    assert set(ways) == set(wanted)
    for number, part in ways.items():
        assert part.name.removeprefix("down/") == wanted[number].name.removeprefix("migrations/")
        assert part.sql.startswith("-- Lost: "), part.name
