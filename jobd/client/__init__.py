"""Submit, control and watch jobs from Python, on a connection of the caller's own.

::

    from jobd.client import Client

    async with connection.transaction():
        await connection.execute("insert into delivery (name) values ('monday')")
        job = await Client(connection).submit("/srv/in/monday.csv", "shop.orders", options={"key": ["id"]})
    job = await Client(connection).wait(job.id, timeout=600)

A connection of asyncpg and one of psycopg (``AsyncConnection``) do equally well. Every call but ``wait`` is one or
two statements inside the caller's transaction: what is submitted in a transaction that rolls back never existed,
and a refusal aborts the caller's transaction as any error of the database does.
"""

from jobd.client.client import Client

__all__ = ["Client"]
