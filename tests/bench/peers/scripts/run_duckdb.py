"""Import a CSV file by duckdb. It runs in the peers' environment, where nothing of jobd is.

python run_duckdb.py FILE URL TABLE
"""

import importlib.resources
import sys

import duckdb  # type: ignore[import-not-found, unused-ignore]

COLUMNS = {
    "id": "BIGINT",
    "uid": "UUID",
    "name": "VARCHAR",
    "city": "VARCHAR",
    "quantity": "INTEGER",
    "amount": "DECIMAL(12, 2)",
    "day": "DATE",
    "seen_at": "TIMESTAMPTZ",
    "is_active": "BOOLEAN",
    "note": "VARCHAR",
}

path, url, table = sys.argv[1:]
extensions = importlib.resources.files("duckdb_extension_postgres_scanner") / "extensions"
extension = extensions / f"v{duckdb.__version__}" / "postgres_scanner.duckdb_extension"
connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
connection.execute(f"load '{extension}'")
connection.execute(f"attach '{url}' as target (type postgres)")
connection.execute(
    f"insert into target.public.{table} select * from read_csv(?, header = true, columns = {COLUMNS})", [path]
)
