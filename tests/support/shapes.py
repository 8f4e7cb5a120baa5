"""Targets that refuse rows for every kind of reason, and records that meet them or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    import asyncpg

PARENTS = """
create table parent (code text primary key);
insert into parent values ('a'), ('b'), ('c');
"""

# The table `rows` of each shape has these columns; what refuses what is the shape's own.
HEADER = "id,name,amount,day,parent,nick"
SHAPES = {
    "keyed": """
        create table rows (
            id int primary key, name varchar(5) not null, amount numeric(5,2) check (amount <> 13), day date,
            parent text references parent, nick text
        )""",
    "two unique": """
        create table rows (
            id int primary key, name varchar(5) not null, amount numeric(5,2), day date,
            parent text references parent deferrable initially deferred, nick text unique
        )""",
    "no key": """
        create table rows (
            id int, name varchar(5) not null, amount numeric(5,2) check (amount <> 13), day date,
            parent text references parent, nick text unique
        )""",
    "refers to itself": """
        create table rows (
            id text primary key, name varchar(5) not null, amount numeric(5,2), day date,
            parent text references rows (id), nick text
        )""",
    "partitioned": """
        create table rows (
            id int, name varchar(5) not null, amount numeric(5,2), day date,
            parent text references parent, nick text, primary key (id)
        ) partition by range (id);
        create table rows_low partition of rows for values from (0) to (3);
        create table rows_high partition of rows for values from (3) to (6)""",
    "trigger": """
        create table rows (
            id int primary key, name varchar(5) not null, amount numeric(5,2), day date,
            parent text references parent, nick text
        );
        create function judge() returns trigger language plpgsql as $$
        begin
            if new.nick = 'p' then raise exception 'nobody is called p'; end if;
            if new.nick = 'q' then return null; end if;
            if new.name is null then new.name := 'none'; end if;
            return new;
        end $$;
        create trigger judge before insert or update on rows for each row execute function judge()""",
    "excluded": """
        create table rows (
            id int primary key, name varchar(5) not null, amount numeric(5,2), day date,
            parent text references parent, nick text, exclude using btree (nick with =)
        )""",
}

_ids = st.sampled_from(["1", "1", "2", "2", "3", "4", "5", "7", "", "x", "1.5"])
RECORDS = st.one_of(
    st.tuples(
        _ids,
        st.sampled_from(["ann", "bob", "", '""', "longer", '"a,b"', '"a\nb"', '"q""q"']),
        st.sampled_from(["1", "13", "2.00", "1e9", "", "NaN", "abc"]),
        st.sampled_from(["2020-01-01", "2020-02-30", "", "today?"]),
        st.sampled_from(["a", "b", "z", "", "1", "2", "3"]),
        st.sampled_from(["p", "q", "r", "s", ""]),
    ).map(",".join),
    st.tuples(_ids, st.sampled_from(["ann", "bob"]), st.just("1"), st.just(""), st.just(""), st.just("")).map(
        ",".join
    ),
    st.sampled_from(["1,ann", "1,ann,1,,,,,", "a\0b,ann,1,,,"]),
)

BEFORE = st.lists(
    st.sampled_from(["1, 'ann', 1, null, 'r'", "2, 'bob', 2, null, 's'", "3, 'cid', null, null, null"]),
    unique=True,
    max_size=3,
)


async def make_rows(connection: asyncpg.Connection, shape: str, before: list[str]) -> None:
    """The table `rows` of that shape, anew, with these rows in it already."""
    await connection.execute("drop table if exists rows cascade; drop function if exists judge")
    await connection.execute(SHAPES[shape])
    await connection.execute("alter table rows add origin text, add place int, disable trigger user")
    for values in before:
        await connection.execute(f"insert into rows (id, name, amount, parent, nick) values ({values})")
    await connection.execute("alter table rows enable trigger user")
