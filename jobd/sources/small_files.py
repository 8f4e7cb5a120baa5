"""Many small files of one JSON object each, as one batch.

To open each of them for itself costs a thousand times what its one record does. So files that are certain to be
read as the one before them are converted together; whatever is not certain, or not well, is left to the usual way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jobd.model.cursor import Cursor
from jobd.sources.formats.block import Block
from jobd.sources.formats.json_convert import Conversion
from jobd.sources.formats.json_cutter import Shape
from jobd.sources.formats.json_reader import JsonFormat
from jobd.sources.formats.json_stretch import Stretch
from jobd.sources.records import FileSpan, RawText, RecordBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.sources.formats.block import Accepts
    from jobd.sources.source import Source

SMALL_BYTES = 64 << 10
SMALL_FILES_MIN = 8
# An object whose first value is none, so that it cannot be one of records by their ids.
_OBJECT = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"(?:[^"\\]|\\.)*"[ \t\r\n]*:[ \t\r\n]*[^{ \t\r\n]')


class SmallFile(NamedTuple):
    """A file that was read whole; ``place`` is its place in the list, from 1."""

    place: int
    name: str
    text: bytes
    modified_ns: int


def is_one_object(text: bytes) -> bool:
    """Whether a file with this text, if it is well-formed, is one record."""
    return _OBJECT.match(text) is not None and text.rstrip(b" \t\r\n").endswith(b"}")


class SmallFiles:
    """Converts files that are read as ``source`` was, with the fields that records had up to its end."""

    def __init__(self, json: JsonFormat, late_fields: tuple[str, ...], accepts: Accepts) -> None:
        self._json = json.widened(late_fields) if late_fields else json
        self._late_fields = late_fields
        self._conversion = Conversion(
            self._json.header, json.limits, ignore_unknown=json.ignore_unknown, accepts=accepts
        )

    @classmethod
    def like(cls, source: Source, late_fields: tuple[str, ...], accepts: Accepts) -> SmallFiles | None:
        """For files like this one; None where files of its kind are read one by one."""
        records = source.records
        if not isinstance(records, JsonFormat) or records.layout.shape is not Shape.SEQUENCE:
            return None
        if records.layout.steps or records.data_position:
            return None
        return cls(records, late_fields, accepts)

    def batch(self, files: Sequence[SmallFile]) -> RecordBatch | None:
        """The records of the first files, as far as each is one good record of known fields; None: of none."""
        ends = np.cumsum([len(file.text) + 1 for file in files]) - 1
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
        text = b"\n".join([file.text for file in files])
        own_lines = np.array([1 + _lines_before(file.text) for file in files], np.int64)
        stretch = Stretch(
            text=text,
            position=0,
            starts=starts,
            ends=ends,
            lines=own_lines,
            next_lines=own_lines,
            origin=0,
            origin_line=1,
        )
        block = next(self._conversion.blocks(stretch, text), None)
        if not isinstance(block, Block):
            return None
        if block.refused:
            first = block.refused_at[0]
            return self.batch(files[:first]) if first else None
        files = files[: len(block)]
        own_lines, last = own_lines[: len(files)], files[-1]
        blanks = np.array([file.text.index(b"{") for file in files], np.int64)
        sizes = np.array([file.text.rindex(b"}") + 1 for file in files], np.int64)
        spans = [
            FileSpan(
                file=file.place,
                name=file.name,
                first_row=1,
                record_count=1,
                stop=number,
                refused_stop=0,
                is_ended=True,
            )
            for number, file in enumerate(files, 1)
        ]
        return RecordBatch(
            data=block.data,
            ends=block.ends,
            rows=np.ones(len(files), np.int64),
            lines=own_lines,
            field_ends=block.field_ends,
            dialect=self._json.dialect,
            cursor=Cursor(
                file=last.place,
                byte=len(last.text),
                row=1,
                line=int(own_lines[-1]),
                size=len(last.text),
                modified_ns=last.modified_ns,
                late_fields=self._late_fields,
            ),
            header=tuple(self._json.header),
            quotes_texts=True,
            is_typed=True,
            raw=RawText(data=text, starts=starts[: len(files)] + blanks, ends=starts[: len(files)] + sizes),
            spans=tuple(spans),
            bytes_read=sum(len(file.text) for file in files),
        )


def _lines_before(text: bytes) -> int:
    """Line ends before the object."""
    return text.count(b"\n", 0, text.index(b"{"))
