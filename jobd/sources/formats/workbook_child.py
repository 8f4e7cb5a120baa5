"""A program of its own: a workbook on standard input becomes CSV on standard output.

Workbooks come from anywhere, and the library that reads them ends the whole process when it runs out of memory:
two cells at opposite corners of a sheet are enough. So it runs in a process that may die, within limits that it
sets itself. The last line on standard error is its report, as JSON. It imports nothing of jobd, to start fast.
"""

from __future__ import annotations

import io
import json
import resource
import runpy
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Rows = Iterator[list[Any]]

_ERRORS = Path(__file__).with_name("workbook_errors.py")
_ROWS_OF_HEADERS = 100
_OLE, _ENCRYPTED = b"\xd0\xcf\x11\xe0", "EncryptedPackage".encode("utf-16-le")


class Refused(Exception):
    """The workbook is not read, for a reason that has a word."""


class Cells:
    """The rows of a sheet as lines of CSV."""

    def __init__(self, sheet: Any, errors: dict[tuple[int, int], str]) -> None:
        self._sheet = sheet
        self._errors = errors
        self._first_column = sheet.start[1]

    def name(self, prefix: str) -> bool:
        """Whether a cell near the top is a text that begins so."""
        first = islice(self._sheet.iter_rows(), _ROWS_OF_HEADERS)
        return any(
            isinstance(cell, str) and cell.strip().casefold().startswith(prefix) for row in first for cell in row
        )

    def rows(self) -> Rows:
        """Each row of the sheet from its first one on, its cells as they are written in CSV."""
        for index, row in enumerate(self._sheet.iter_rows()):
            cells = [written(value) for value in row]
            if self._errors:
                for column, cell in enumerate(cells):
                    if not cell:
                        cells[column] = self._errors.get((index, column + self._first_column), "")
            yield cells

    def lines(self, skip_rows: int, header_rows: int) -> Iterator[str]:
        """A line for each row: skipped and empty ones are blank, all others at least as wide as the header."""
        width = 0 if header_rows else max(map(filled, self.rows()), default=0)
        seen = 0
        for index, cells in enumerate(self.rows()):
            count = 0 if index < skip_rows else filled(cells)
            if count:
                seen += 1
                if seen == header_rows:
                    width = count
                yield ",".join(cells[: max(count, width)])
            else:
                yield ""


def filled(cells: Sequence[str]) -> int:
    """The number of cells up to the last that holds something."""
    count = len(cells)
    while count and not cells[count - 1]:
        count -= 1
    return count


def written(value: Any) -> str:  # noqa: PLR0911  one way for each type
    """A cell as PostgreSQL reads it in CSV; the library does not tell an empty text from an empty cell."""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"' if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return interval(value)
    return str(value)


def number(value: float) -> str:
    """The shortest digits that stand for it, without an exponent."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def interval(value: timedelta) -> str:
    """Hours, minutes and seconds."""
    micros = value // timedelta(microseconds=1)
    seconds, fraction = divmod(abs(micros), 1_000_000)
    text = f"{'-' if micros < 0 else ''}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}" if fraction else text


def first_sheet(workbook: Any, library: Any, wanted: str | None) -> Any:
    """The sheet of that name, or the first visible one with something in it."""
    for each in workbook.sheets_metadata:
        if wanted is None:
            is_shown = each.visible == library.SheetVisibleEnum.Visible
            if not is_shown or each.typ != library.SheetTypeEnum.WorkSheet:
                continue
        elif each.name != wanted:
            continue
        sheet = workbook.get_sheet_by_name(each.name)
        # Without a start it has no cell at all.
        if sheet.start is not None and any(cell != "" for row in sheet.iter_rows() for cell in row):
            return sheet
    raise Refused("no_sheet")


def convert(orders: dict[str, Any]) -> dict[str, Any]:
    """Write the CSV; gives the report."""
    import python_calamine  # noqa: PLC0415  counted among what the limits bound

    content = io.BytesIO(sys.stdin.buffer.read())
    if content.getbuffer()[:4] == _OLE and _ENCRYPTED in content.getvalue():
        raise Refused("PasswordError")
    workbook = python_calamine.CalamineWorkbook.from_filelike(content)
    sheet = first_sheet(workbook, python_calamine, orders["sheet"])
    error_cells = runpy.run_path(str(_ERRORS))["error_cells"]
    cells = Cells(sheet, error_cells(content, sheet.name))
    # Such a sheet has its header on top, whatever is stated of others.
    is_own = orders["own_prefix"] is not None and cells.name(orders["own_prefix"])
    skip_rows, header_rows = (0, 1) if is_own else (orders["skip_rows"], orders["header_rows"])
    size = 0
    with open(1, "wb", buffering=1 << 20, closefd=False) as output:
        for line in cells.lines(skip_rows, header_rows):
            data = line.encode() + b"\n"
            size += len(data)
            if size > orders["output_bytes"]:
                raise Refused("too_large")
            output.write(data)
    return {"sheet": sheet.name, "is_own": is_own}


def main() -> int:
    """Obey the orders in the first argument."""
    orders = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (orders["memory_bytes"], orders["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CPU, (orders["cpu_seconds"], orders["cpu_seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        report = convert(orders)
    except BaseException as error:  # noqa: BLE001  the library's panics derive from BaseException alone
        kind = str(error) if isinstance(error, Refused) else type(error).__name__
        report = {"refused": kind, "reason": str(error)[:500]}
    sys.stderr.write("\n" + json.dumps(report) + "\n")
    return 0 if "sheet" in report else 1


if __name__ == "__main__":
    sys.exit(main())
