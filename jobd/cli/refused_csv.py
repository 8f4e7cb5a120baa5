"""Refused records as a file of CSV: the lines that ``jobd.rejects_csv`` gives, and what Excel needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich.text import Text

from jobd.cli.figures import count
from jobd.cli.screen import WARN, complaints

if TYPE_CHECKING:
    from jobd.cli.database import Database
    from jobd.model.job import Job

PAGE_ROWS = 5000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Writing:
    """How the file is written."""

    delimiter: str = ","
    is_for_excel: bool = False

    @classmethod
    def for_excel(cls, job: Job) -> Writing:
        """A semicolon where the job's own file has one, or its decimals have a comma.

        Excel divides by the list separator that it is set to, and so does whoever wrote the file, as a rule. A
        line ``sep=`` would say it, but makes several versions pass over the mark before it.
        """
        shape = ((job.detected or {}).get("source") or {}).get("shape") or {}
        has_comma = shape.get("delimiter") == ord(";") or (job.options or {}).get("decimal") == ","
        return cls(";" if has_comma else ",", is_for_excel=True)

    def line(self, text: str) -> bytes:
        """A line with its line end."""
        return (text.removesuffix("\n") + "\r\n" if self.is_for_excel else text).encode()


async def write_refused(database: Database, job: Job, file: str | None, writing: Writing, out: IO[bytes]) -> None:
    """Page by page: there may be many records, and each may be long."""
    found = (await database.fetch("cli_reject_columns", job.id, file))[0]
    if writing.is_for_excel:
        out.write(BYTE_ORDER_MARK)
    after_file, after_row = None, None
    while True:
        arguments = (job.id, file, after_file, after_row, PAGE_ROWS, writing.delimiter, found["columns"])
        page = await database.fetch("cli_rejects", *arguments)
        for line in page:
            out.write(writing.line(line["line"]))
        if len(page) < PAGE_ROWS:
            break
        after_file, after_row = page[-1]["file"], page[-1]["row_number"]
    out.flush()
    _warn(job, are_different=found["are_different"])


def _warn(job: Job, *, are_different: bool) -> None:
    """What the file cannot say itself goes where it is not taken for a part of it."""
    if are_different:
        complaints().print(
            Text.assemble(
                ("note: ", WARN),
                "the files have different columns; one that a record's own file lacks is empty here, which is "
                "null when it is imported. With --file the records of one file stand alone.",
            )
        )
    if job.errors_not_stored:
        complaints().print(
            Text.assemble(
                ("note: ", WARN),
                f"{count(job.errors_not_stored)} more were refused than are kept; they are not in it.",
            )
        )
