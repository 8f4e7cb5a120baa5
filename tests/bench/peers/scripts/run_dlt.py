"""Import a CSV file by dlt, in the fastest of its ways: Arrow in, COPY out. It runs in the peers' environment.

python run_dlt.py FILE URL append|merge
"""

import sys

import dlt  # type: ignore[import-not-found, unused-ignore]
import pyarrow as pa  # type: ignore[import-not-found, unused-ignore]
from pyarrow import csv  # type: ignore[import-not-found, unused-ignore]

TYPES = {
    "id": pa.int64(),
    "uid": pa.string(),
    "name": pa.string(),
    "city": pa.string(),
    "quantity": pa.int32(),
    "amount": pa.decimal128(12, 2),
    "day": pa.date32(),
    "seen_at": pa.timestamp("us", "UTC"),
    "is_active": pa.bool_(),
    "note": pa.string(),
}

path, url, disposition = sys.argv[1:]
rows = dlt.resource(
    csv.open_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=TYPES),
    ),
    name="rows",
    primary_key="id",
    write_disposition={"disposition": "merge", "strategy": "upsert"} if disposition == "merge" else disposition,
)
# It insists on a password, which the server does not ask for.
target = dlt.destinations.postgres(url.replace("@", ":none@", 1))
pipeline = dlt.pipeline("rows", destination=target, dataset_name="by_dlt")
pipeline.run(rows, loader_file_format="csv").raise_on_failed_jobs()
