"""Read a source to its end, and ask PostgreSQL what it makes of the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from jobd.sources import CopyDialect, ReadOptions, RecordBatch, open_source

if TYPE_CHECKING:
    from pathlib import Path

Cells = list[str | None]


def copied(
    connection: psycopg.Connection[Any], data: bytes, columns: int, dialect: CopyDialect
) -> list[Cells] | str:
    """What COPY makes of the bytes; the error's text where it refuses them."""
    names = ", ".join(f"c{index} text" for index in range(columns))
    with connection.cursor() as cursor, connection.transaction(force_rollback=True):
        cursor.execute(f"CREATE TEMP TABLE copied (n int GENERATED ALWAYS AS IDENTITY, {names})")
        targets = ", ".join(f"c{index}" for index in range(columns))
        try:
            with (
                connection.transaction(),
                cursor.copy(
                    f"COPY copied ({targets}) FROM STDIN (FORMAT csv, DELIMITER {literal(dialect.delimiter)}, "
                    f"QUOTE {literal(dialect.quote)}, ESCAPE {literal(dialect.escape)}, "
                    f"ENCODING '{dialect.encoding}')"
                ) as copy,
            ):
                copy.write(data)
        except psycopg.DataError as error:
            return str(error)
        return [list(row) for row in cursor.execute(f"SELECT {targets} FROM copied ORDER BY n").fetchall()]


def literal(character: str) -> str:
    return "E'" + character.replace("\\", "\\\\").replace("'", "\\'") + "'"


def cells(batch: RecordBatch, index: int) -> Cells:
    return [None if value == ("", False) else value.text for value in batch.fields(index)]


def everything(path: Path, options: ReadOptions, max_rows: int, *, resume: bool = False) -> dict[str, Any]:
    """All that reading gives; with ``resume``, each batch is read by a source opened anew from the last cursor."""
    rows: list[tuple[int, int, Cells]] = []
    refused: list[tuple[int, int, str, bytes]] = []
    with open_source(str(path), roots=[path.parent], options=options) as source:
        detected, cursor, count = source.detected, None, source.count_rows()
        reader = source.reader()
        while True:
            if resume:
                with open_source(str(path), roots=[path.parent], options=options, detected=detected) as again:
                    batch = again.reader(cursor).read(max_rows, 1 << 20)
            else:
                batch = reader.read(max_rows, 1 << 20)
            if batch is None:
                break
            assert 0 < batch.record_count <= max_rows
            assert cursor is None or cursor.is_behind(batch.cursor)
            cursor = batch.cursor
            numbers = [*batch.rows.tolist(), *(each.row_number for each in batch.refused)]
            assert cursor.row == max(numbers)
            rows += [
                (int(batch.rows[index]), int(batch.lines[index]), cells(batch, index))
                for index in range(len(batch))
            ]
            refused += [(each.row_number, each.line_number, each.code, each.raw) for each in batch.refused]
    numbers = sorted([row[0] for row in rows] + [each[0] for each in refused])
    assert numbers == list(range(1, len(numbers) + 1)), "every record has its number, none is lost"
    assert count == len(numbers)
    return {"rows": rows, "refused": refused}
