from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database


async def test_surplus_values_go_into_the_column_that_rest_names(empty_database: Database, tmp_path: Path) -> None:
    connection = await asyncpg.connect(empty_database.url, statement_cache_size=0)
    try:
        await connection.execute("create table t (id int primary key, extra jsonb)")
        path = write(tmp_path / "a.csv", "id\n1\n2,x,y\n")
        imported = await import_file(connection, path, "public.t", {"rest": "extra", "delimiter": ","})
        assert (imported.failure, imported.errors) == (None, [])
        rows = await connection.fetch("select id, extra::text from t order by id")
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [(1, None), (2, '["x", "y"]')]
