"""The tables that files are imported into, and what psql is told to do with the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = "id, uid, name, city, quantity, amount, day, seen_at, is_active, note"
TABLE = """
drop table if exists {name};
create table {name} (
    id bigint primary key, uid uuid not null, name text not null, city text, quantity integer,
    amount numeric(12,2), day date, seen_at timestamptz, is_active boolean, note text
) with (autovacuum_enabled = off)"""
STAGING = """
drop table if exists staging;
create unlogged table staging (
    id text, uid text, name text, city text, quantity text, amount text, day text, seen_at text,
    is_active text, note text
)"""
UPSERT = """
insert into {name} as t
select id::bigint, uid::uuid, name, city, quantity::integer, amount::numeric, day::date, seen_at::timestamptz,
       is_active::boolean, note
  from staging
on conflict (id) do update
   set (uid, name, city, quantity, amount, day, seen_at, is_active, note)
     = (excluded.uid, excluded.name, excluded.city, excluded.quantity, excluded.amount, excluded.day,
        excluded.seen_at, excluded.is_active, excluded.note)
 where (t.uid, t.name, t.city, t.quantity, t.amount, t.day, t.seen_at, t.is_active, t.note)
       is distinct from
       (excluded.uid, excluded.name, excluded.city, excluded.quantity, excluded.amount, excluded.day,
        excluded.seen_at, excluded.is_active, excluded.note)"""


def copy_command(path: Path, table: str) -> str:
    r"""What psql does with a file: ``\copy`` of it into the table."""
    return rf"\copy {table} ({COLUMNS}) from '{path}' with (format csv, header)"
