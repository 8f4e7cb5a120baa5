"""The schema as a whole: the committed dump, and rules that hold for every function and relation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.db import queries, schema_dump
from jobd.db.schema_text import directory
from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from tests.support.database import Database

RELATIONS = (
    "job", "job_event", "job_error", "job_error_group", "job_reject", "job_log", "job_file", "job_change", "blob",
    "import_ledger", "worker", "queue", "schedule", "submitter", "transition", "option",
    "environment",
)  # fmt: skip

# Named queries that are used on newer servers only.
NEEDS_VERSION = {"import_input_error": 16}

HOT_COLUMNS = {
    "updated_at", "version", "cursor", "progress", "processed_rows", "success_count", "error_count", "items_added",
    "items_updated", "items_unchanged", "items_skipped", "items_removed", "errors_not_stored", "current_file",
    "total_rows", "lost_lease_count", "cancel_requested", "pause_requested", "retry_requested",
}  # fmt: skip


async def test_schema_sql_is_what_the_migrations_lead_to(database: Database) -> None:
    committed = (directory() / "schema.sql").read_text(encoding="utf-8")
    laid = schema_dump.dump(database.server, database.name)
    assert heads(laid) == heads(committed), "run: make schema"
    # Each major version writes views and defaults in its own words; the file is in those of the embedded one.
    if (await database.connect()).get_server_version().major == 18:
        assert laid == committed, "run: make schema"


def heads(dump: str) -> list[str]:
    """The first lines of the statements that make something."""
    return [line for line in dump.splitlines() if line.startswith("CREATE ")]


async def test_every_function_pins_its_search_path_with_pg_temp_last_or_is_bound_when_made(
    database: Database,
) -> None:
    rows = await database.fetch(
        "select p.oid::regprocedure::text as name, p.prosqlbody is not null as is_bound, p.proconfig"
        " from pg_proc p where p.pronamespace = 'jobd'::regnamespace"
    )
    assert len(rows) > 60
    for row in rows:
        path = [value for value in row["proconfig"] or [] if value.startswith("search_path=")]
        assert row["is_bound"] or path == ["search_path=pg_catalog, jobd, pg_temp"], row["name"]


async def test_every_function_and_relation_says_what_it_is_for(database: Database) -> None:
    silent = await database.fetch(
        "select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'jobd'::regnamespace"
        " and obj_description(p.oid, 'pg_proc') is null"
        " union all select c.oid::regclass::text from pg_class c where c.relnamespace = 'jobd'::regnamespace"
        " and c.relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null"
    )
    assert [row[0] for row in silent] == []


async def test_every_relation_has_a_primary_key_and_says_when_a_row_was_made(database: Database) -> None:
    for relation in RELATIONS:
        assert await database.fetchval(
            "select count(*) = 1 from pg_index where indrelid = $1::text::regclass and indisprimary",
            f"jobd.{relation}",
        ), relation
        assert await database.fetchval(
            "select count(*) = 1 from pg_attribute where attrelid = $1::text::regclass and attname = 'created_at'",
            f"jobd.{relation}",
        ), relation


async def test_no_index_names_what_progress_or_a_request_writes(database: Database) -> None:
    rows = await database.fetch(
        "select c.relname, a.attname from pg_index i join pg_class c on c.oid = i.indexrelid"
        " join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid"
        " and d.refobjid = i.indrelid"
        " join pg_attribute a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid"
        " where i.indrelid = 'jobd.job'::regclass"
    )
    assert len(rows) > 30
    assert [tuple(row) for row in rows if row[1] in HOT_COLUMNS] == []


async def test_no_foreign_key_slows_events_and_errors_down(database: Database) -> None:
    assert await database.fetchval(
        "select count(*) = 0 from pg_constraint where contype = 'f' and connamespace = 'jobd'::regnamespace"
    )


async def test_autovacuum_is_set_for_the_queue(database: Database) -> None:
    options = await database.fetchval("select reloptions from pg_class where oid = 'jobd.job'::regclass")
    assert "fillfactor=80" in options
    assert any(option.startswith("autovacuum_vacuum_scale_factor=") for option in options)


def test_a_named_query_is_read_with_its_name_and_an_unknown_one_is_refused() -> None:
    assert queries.query("client_submit").startswith("-- client_submit\n")
    with pytest.raises(ConfigurationError, match="no_such_query"):
        queries.query("no_such_query")


async def test_every_named_query_fits_the_schema(database: Database) -> None:
    connection = await database.connect()
    major = connection.get_server_version().major
    for name, text in queries.load().items():
        if major < NEEDS_VERSION.get(name, 0):
            continue
        statement = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        if statement.rstrip(";").count(";") == 0:
            try:
                await connection.prepare(text)
            except Exception as error:
                error.add_note(f"in {name}")
                raise
