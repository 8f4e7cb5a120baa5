"""The benchmark's files: as many rows as asked for, always the same ones, as CSV or JSON Lines.

Ten columns: id bigint ascending, uid uuid, name text, city text, quantity int, amount numeric(12,2), day date,
seen_at timestamptz, is_active bool, note text with delimiters, quotes and, on 5 % of the rows, a line end. Spoiled
rows have one fault each, in a turn of eight kinds; changed ones have another quantity.

    python -m tests.bench.data FILE --rows 2000000 [--bad-share 0.01] [--changed-share 0.1]
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = tuple[int, str, str, str, int, str, str, str, str, str]

COLUMNS = ("id", "uid", "name", "city", "quantity", "amount", "day", "seen_at", "is_active", "note")
FAULTS = ("int", "date", "timestamp", "uuid", "overflow", "missing", "few", "many")

_FIRST = ("Anna", "Boris", "Chiara", "David", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Karla", "Liam")
_LAST = ("Almeida", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ivanov", "Jansen")
_CITY = ("Amsterdam", "Berlin", "Copenhagen", "Dublin", "Edinburgh", "Florence", "Geneva", "Hamburg", "Istanbul")
_NOTE = (
    "delivered, as agreed",
    'said "fine" and left',
    "no remarks",
    "two parts, one missing",
    "call back before noon",
    "paid in cash",
)
_STRETCH = 20_000


def chosen(rows: int, share: float, seed: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows (counted from 0) make up a share of all: exactly that many, anywhere."""
    is_chosen = np.zeros(rows, np.bool_)
    if share:
        is_chosen[np.random.default_rng(seed).choice(rows, size=round(rows * share), replace=False)] = True
    return is_chosen


def records(rows: int) -> Iterator[list[Row]]:
    """The rows, some thousands at a time; no stretch depends on how many rows there are in all."""
    for start in range(0, rows, _STRETCH):
        yield [
            _row(start, index, values) for index, values in enumerate(_values(start, min(_STRETCH, rows - start)))
        ]


def _values(start: int, count: int) -> Iterator[tuple[list[int], str, int, int, str, str]]:
    random = np.random.default_rng([1, start])
    picks = random.integers(0, 1 << 30, size=(_STRETCH, 6))[:count].tolist()
    uids = random.integers(0, 256, size=(_STRETCH, 16), dtype=np.uint8).tobytes().hex()
    cents = random.integers(0, 10_000_000, size=_STRETCH)[:count].tolist()
    quantities = random.integers(0, 100_000, size=_STRETCH)[:count].tolist()
    days = np.datetime64("2015-01-01") + random.integers(0, 4000, size=_STRETCH)[:count]
    moments = np.datetime64("2015-01-01T00:00:00") + random.integers(0, 340_000_000, size=_STRETCH)[:count]
    return zip(
        picks,
        (uids[at : at + 32] for at in range(0, 32 * count, 32)),
        cents,
        quantities,
        np.datetime_as_string(days).tolist(),
        np.datetime_as_string(moments).tolist(),
        strict=True,
    )


def _row(start: int, index: int, values: tuple[list[int], str, int, int, str, str]) -> Row:
    (first, last, city, note, active, line), uid, cents, quantity, day, moment = values
    return (
        start + index + 1,
        f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}",
        f"{_FIRST[first % len(_FIRST)]} {_LAST[last % len(_LAST)]}",
        _CITY[city % len(_CITY)],
        quantity,
        f"{cents // 100}.{cents % 100:02d}",
        day,
        moment + "+00",
        "true" if active % 2 else "false",
        _NOTE[note % len(_NOTE)] + ("\nsecond line" if line % 20 == 0 else ""),
    )


def _csv_line(row: Row) -> str:
    *plain, note = row
    if "," in note or '"' in note or "\n" in note:
        note = '"' + note.replace('"', '""') + '"'
    return ",".join(map(str, plain)) + "," + note + "\n"


def _spoiled_line(row: Row, fault: str) -> str:
    spoiled = {
        "int": (4, "12x"),
        "date": (6, "2024-02-30"),
        "timestamp": (7, "yesterday noon"),
        "uuid": (1, "not-a-uuid"),
        "overflow": (5, "99999999999.00"),
        "missing": (2, ""),
    }
    line = _csv_line(row)
    if fault == "few":
        return f"{row[0]},{row[1]}\n"
    if fault == "many":
        return line[:-1] + ",surplus\n"
    column, value = spoiled[fault]
    values = line.split(",", 9)
    values[column] = value
    return ",".join(values)


def _json_line(row: Row) -> str:
    identity, uid, name, city, quantity, amount, day, seen_at, is_active, note = row
    return (
        f'{{"id":{identity},"uid":"{uid}","name":"{name}","city":"{city}","quantity":{quantity},"amount":{amount},'
        f'"day":"{day}","seen_at":"{seen_at}","is_active":{is_active},"note":{json.dumps(note)}}}\n'
    )


def write_csv(path: Path, rows: int, *, bad_share: float = 0.0, changed_share: float = 0.0) -> None:
    """Write the file as CSV, unless it is there already."""
    if path.exists():
        return
    is_bad, is_changed = chosen(rows, bad_share, seed=3), chosen(rows, changed_share, seed=4)
    is_special = is_bad | is_changed
    bad_count = 0
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("w", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for stretch in records(rows):
            lines = list(map(_csv_line, stretch))
            start = stretch[0][0] - 1
            for at in np.flatnonzero(is_special[start : start + len(stretch)]).tolist():
                row = stretch[at]
                if is_changed[start + at]:
                    row = (*row[:4], row[4] + 1, *row[5:])
                    lines[at] = _csv_line(row)
                if is_bad[start + at]:
                    lines[at] = _spoiled_line(row, FAULTS[bad_count % len(FAULTS)])
                    bad_count += 1
            file.writelines(lines)
    unfinished.rename(path)


def write_csv_files(directory: Path, files: int, rows_each: int) -> list[Path]:
    """Write the first rows as many small files, and give their paths."""
    paths = [directory / f"{number:05d}.csv" for number in range(files)]
    rows = (row for stretch in records(files * rows_each) for row in stretch)
    for path in paths:
        lines = map(_csv_line, islice(rows, rows_each))
        path.write_text(",".join(COLUMNS) + "\n" + "".join(lines), newline="")
    return paths


def write_jsonl(path: Path, rows: int) -> None:
    """Write the clean rows as JSON Lines, unless the file is there already."""
    if path.exists():
        return
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("w", newline="") as file:
        for stretch in records(rows):
            file.writelines(map(_json_line, stretch))
    unfinished.rename(path)


def write_json(path: Path, rows: int) -> None:
    """Write the clean rows as one array, unless the file is there already."""
    if path.exists():
        return
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("w", newline="") as file:
        divider = "["
        for stretch in records(rows):
            for row in stretch:
                file.write(divider + _json_line(row)[:-1])
                divider = ", "
        file.write("]\n")
    unfinished.rename(path)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path, help="*.csv or *.jsonl")
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--bad-share", type=float, default=0.0)
    arguments.add_argument("--changed-share", type=float, default=0.0)
    given = arguments.parse_args()
    if given.file.suffix == ".jsonl":
        write_jsonl(given.file, given.rows)
    else:
        write_csv(given.file, given.rows, bad_share=given.bad_share, changed_share=given.changed_share)
