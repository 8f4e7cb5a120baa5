"""Where records come from. Knows nothing of jobs and of the database.

::

    with open_source("/srv/in/people.csv", roots=[Path("/srv/in")], options=ReadOptions()) as source:
        source.header                       # names of the columns
        for batch in source.batches(None, max_rows=20_000, max_bytes=4 << 20):
            batch.data                      # bytes that COPY takes, and see RecordBatch for the rest

The way of a file through here: ``locate`` (a path inside the roots, opened safely) → ``stream`` (bytes, unpacked,
with positions) → ``detect`` (format and dialect, frozen) → ``csv_reader`` or ``jsonl_reader`` (blocks of records)
→ ``source`` (batches with cursors).
"""

from jobd.sources.locate import RootUnavailable
from jobd.sources.open import open_source
from jobd.sources.options import ReadOptions
from jobd.sources.records import CopyDialect, FieldValue, RecordBatch, RefusedRecord
from jobd.sources.source import BatchReader, Source

__all__ = [
    "BatchReader",
    "CopyDialect",
    "FieldValue",
    "ReadOptions",
    "RecordBatch",
    "RefusedRecord",
    "RootUnavailable",
    "Source",
    "open_source",
]
