"""Where records come from. Knows nothing of jobs and of the database.

::

    with open_source("/srv/in/people.csv", roots=[Path("/srv/in")], options=ReadOptions()) as source:
        source.header                       # names of the columns
        for batch in source.batches(None, max_rows=20_000, max_bytes=4 << 20):
            batch.data                      # bytes that COPY takes, and see RecordBatch for the rest

The way of a file through here: ``places`` (what the job names, opened safely) → ``packing`` (bytes, unpacked, as a
``stream`` with positions) → ``formats`` (``detect``: what it is, frozen; then a reader each: blocks of records) →
``source`` (batches with cursors). ``open`` puts them together.
"""

from jobd.model.files import FileEntry
from jobd.sources.batch_reader import BatchReader
from jobd.sources.copy_dialect import CopyDialect, FieldValue
from jobd.sources.feed import Feed, FeedOptions
from jobd.sources.files import Files, Places, open_files
from jobd.sources.open import open_source
from jobd.sources.options import Limits, ReadOptions
from jobd.sources.places.local import RootUnavailable
from jobd.sources.records import RecordBatch, RefusedRecord
from jobd.sources.source import Source

__all__ = [
    "BatchReader",
    "CopyDialect",
    "Feed",
    "FeedOptions",
    "FieldValue",
    "FileEntry",
    "Files",
    "Limits",
    "Places",
    "ReadOptions",
    "RecordBatch",
    "RefusedRecord",
    "RootUnavailable",
    "Source",
    "open_files",
    "open_source",
]
