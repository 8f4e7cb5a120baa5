"""JSON documents: records in an array, under an object's keys, or one after the other; of any size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jobd.sources.copy_dialect import CopyDialect
from jobd.sources.formats.block import accepts_nothing
from jobd.sources.formats.json_convert import Conversion
from jobd.sources.formats.json_documents import Documents
from jobd.sources.formats.json_fault import Fault, source_error
from jobd.sources.formats.json_stretch import LongRecord
from jobd.sources.formats.window import Window
from jobd.sources.options import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobd.sources.formats.block import Accepts, Block, NewFields
    from jobd.sources.formats.json_documents import Layout
    from jobd.sources.formats.json_stretch import Stretch
    from jobd.sources.stream import Stream

ID_FIELD = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat:
    """Documents one after the other, each with its records in the same place.

    A position between records is right behind one of them, but the first, where the source's text begins.
    """

    name: str
    header: list[str]
    layout: Layout
    data_position: int = 0
    data_line: int = 1
    ignore_unknown: bool = False
    limits: Limits = field(default_factory=Limits)
    dialect: CopyDialect = field(default_factory=CopyDialect)

    @property
    def column_count(self) -> int:
        """Keys that become columns."""
        return len(self.header)

    def frozen(self) -> dict[str, Any]:
        """What ``reopen_json`` takes."""
        return {
            "header": self.header,
            "column_count": self.column_count,
            "data_position": self.data_position,
            "data_line": self.data_line,
            "layout": self.layout.to_json(),
        }

    def widened(self, names: Sequence[str]) -> JsonFormat:
        """More keys become columns."""
        return replace(self, header=[*self.header, *names])

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Records from ``position`` on, which is right behind one."""
        conversion = Conversion(
            self.header,
            self.limits,
            ignore_unknown=self.ignore_unknown,
            accepts=accepts,
            id_index=self.header.index(ID_FIELD) if self.layout.names_id else None,
        )
        for found in self.stretches(stream, position, line):
            if isinstance(found, LongRecord):
                yield conversion.long(found)
            else:
                yield from conversion.blocks(found, found.joined())

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of values where records are expected."""
        for found in self.stretches(stream, self.data_position, self.data_line):
            yield 1 if isinstance(found, LongRecord) else len(found)

    def stretches(self, stream: Stream, position: int, line: int) -> Iterator[Stretch | LongRecord]:
        """The records, some at a time. Raises SourceError where the text stops being JSON."""
        documents = Documents(self.layout, self.limits.record_bytes, Window(stream, position), line)
        try:
            yield from documents.records(is_inside=position > self.data_position)
        except Fault as fault:
            raise source_error(fault, self.name, stream.reopened()) from None
