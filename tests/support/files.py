"""Small awkward files: measurements with everything that befalls real ones, and what must become of each record.

The same records are written as CSV and as JSON Lines. What must come of them is worked out here as well, record
by record, from nothing but the contract: that is what an import is held against, beside an import that nobody
disturbed.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Good = list[dict[str, str | None]]
    Kind = Callable[[dict[str, str | None], Good], "Record"]

Format = Literal["csv", "jsonl"]
COLUMNS = ("id", "station", "serial", "amount", "taken_at", "level", "note")
STATIONS = ("NORTH", "SOUTH", "EAST", "WEST")
BAD_SHARE = 0.01
# Every so many records one brings a key again that was there before: half of them as it was, half changed.
REPEAT_EVERY = 40

# For the target: a rule of every kind.
TABLE = """
create table {schema}.station (code text primary key);
insert into {schema}.station values ('NORTH'), ('SOUTH'), ('EAST'), ('WEST');
create table {schema}.reading (
    id bigint primary key,
    station text not null references {schema}.station,
    serial text unique,
    amount numeric(8, 2) not null check (amount >= 0),
    taken_at timestamptz not null,
    level smallint,
    note varchar(40)
);
"""
NOTES = (
    None,
    "",
    "plain",
    "a, comma",
    'a "quote"',
    "two\nlines",
    "\N{SNOWMAN} and ü",
    "null",
    "NULL",
    "\\.",
    " blanks ",
)


@dataclass(frozen=True)
class Record:
    """One record: its values as text (None: null), or what it is instead, and the code it must be refused with."""

    values: dict[str, str | None]
    code: str | None = None
    mangle: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True)
class Expected:
    """What must come of a file."""

    added: int
    updated: int
    unchanged: int
    refused: dict[int, str]
    notes: dict[int, str | None]

    @property
    def processed(self) -> int:
        return self.added + self.updated + self.unchanged + len(self.refused)


@dataclass(frozen=True)
class Readings:
    """A file of measurements."""

    path: Path
    records: Sequence[Record] = field(repr=False)

    def expected(self, existing: Sequence[int] = ()) -> Expected:
        """What must come of it where the target holds these ids already, with a note of ``old``."""
        old = tuple("old" if name == "note" else None for name in COLUMNS)
        rows: dict[int, tuple[str | None, ...]] = dict.fromkeys(existing, old)
        counts = {"added": 0, "updated": 0, "unchanged": 0}
        refused: dict[int, str] = {}
        for number, record in enumerate(self.records, 1):
            if record.code is not None:
                refused[number] = record.code
                continue
            key = int(record.values["id"] or "")
            row = tuple(record.values.values())
            counts["added" if key not in rows else "unchanged" if rows[key] == row else "updated"] += 1
            rows[key] = row
        place = COLUMNS.index("note")
        return Expected(**counts, refused=refused, notes={key: row[place] for key, row in rows.items()})


def write_readings(
    path: Path,
    count: int,
    *,
    seed: int = 0,
    bad_share: float = BAD_SHARE,
    format: Format | None = None,  # noqa: A002
) -> Readings:
    """Write ``count`` records, with that share of bad ones of all kinds in turn; the name decides the format."""
    chosen = format or ("jsonl" if ".jsonl" in path.name else "csv")
    records = list(_records(count, random.Random(seed), bad_share, _KINDS[chosen]))  # noqa: S311  to be repeated
    write = _csv_line if chosen == "csv" else _json_line
    lines = [(record.mangle or bytes)(write(record.values)) for record in records]
    header = ",".join(COLUMNS).encode() + b"\n" if chosen == "csv" else b""
    path.write_bytes(header + b"".join(line + b"\n" for line in lines))
    return Readings(path, records)


def _records(count: int, dice: random.Random, bad_share: float, kinds: Sequence[Kind]) -> Iterator[Record]:
    """Good records in the order of their keys, repeated keys and bad ones between them."""
    good: list[dict[str, str | None]] = []
    every = round(1 / bad_share) if bad_share else 2 * count + 2  # then none is reached
    bad_count = 0
    for number in range(1, count + 1):
        values = _values(number, dice)
        if good and number % every == every // 2:
            # In turn, so that each kind occurs; the record itself is any.
            yield kinds[bad_count % len(kinds)](values, good)
            bad_count += 1
        elif good and number % REPEAT_EVERY == 0:
            # Near ones fall into the same batch, far ones into another.
            again = dict(good[-dice.randint(1, min(len(good), 400))])
            if dice.random() < 0.5:
                again["note"] = f"again in {number}"
            good = [again if earlier["id"] == again["id"] else earlier for earlier in good[-400:]]
            yield Record(again)
        else:
            good.append(values)
            yield Record(values)


def _values(number: int, dice: random.Random) -> dict[str, str | None]:
    taken_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    return {
        "id": str(number),
        "station": dice.choice(STATIONS),
        "serial": f"S-{number}",
        "amount": f"{dice.randint(0, 99_999) / 100:.2f}",
        "taken_at": taken_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "level": dice.choice(["-32768", "0", "7", None]),
        "note": dice.choice(NOTES),
    }


def _with(column: str, value: str | None, code: str) -> Any:
    return lambda values, _good: Record({**values, column: value}, code)


def _taken_serial(values: dict[str, str | None], good: Good) -> Record:
    """A serial that another row has: only the table's own unique index knows."""
    return Record({**values, "serial": good[0]["serial"]}, "unique_violation")


def _mangled(code: str, mangle: Callable[[bytes], bytes]) -> Any:
    return lambda values, _good: Record({**values, "note": "mangled"}, code, mangle)


_OF_VALUES = (
    _with("level", "seven", "invalid_value"),
    _with("level", "32768", "out_of_range"),
    _with("taken_at", "yesterday-ish", "invalid_value"),
    _with("note", "n" * 41, "too_long"),
    _with("taken_at", None, "null_not_allowed"),
    _with("id", None, "key_is_null"),
    _with("station", "NOWHERE", "foreign_key_violation"),
    _with("amount", "-0.01", "check_violation"),
    _taken_serial,
)
_KINDS: dict[str, Sequence[Any]] = {
    "csv": (
        *_OF_VALUES,
        _mangled("too_few_fields", lambda line: line[: line.rindex(b",")]),
        _mangled("too_many_fields", lambda line: line + b",more"),
        _mangled("nul_byte", lambda line: line.replace(b"mangled", b"man\0gled")),
        _mangled("undecodable", lambda line: line.replace(b"mangled", b"man\xff\xfegled")),
    ),
    "jsonl": (
        *_OF_VALUES,
        _mangled("malformed_json", lambda line: line[:-1]),
        _mangled("not_an_object", lambda line: b"[" + line + b"]"),
        _mangled("unknown_field", lambda line: line.replace(b'"note"', b'"remark"')),
        _mangled("nul_byte", lambda line: line.replace(b"mangled", rb"man\u0000gled")),
        _mangled("undecodable", lambda line: line.replace(b"mangled", b"man\xff\xfegled")),
    ),
}


def _csv_line(values: dict[str, str | None]) -> bytes:
    """Texts are quoted, so that an empty one is no null."""
    texts = {"serial", "note"}
    fields = [
        "" if value is None else '"' + value.replace('"', '""') + '"' if name in texts else value
        for name, value in values.items()
    ]
    return ",".join(fields).encode()


def _json_line(values: dict[str, str | None]) -> bytes:
    """Numbers are numbers where they are; a null in a needed column is a missing key."""
    row = {
        name: json.loads(value) if name in {"id", "level", "amount"} and _is_number(value) else value
        for name, value in values.items()
        if value is not None or name not in {"id", "taken_at"}
    }
    return json.dumps(row, ensure_ascii=False).encode()


def _is_number(value: str | None) -> TypeGuard[str]:
    return value is not None and value.lstrip("-").replace(".", "", 1).isdigit()


def write_plain(path: Path, rows: int, *, width: int = 20) -> Path:
    """A CSV file of ``id`` and ``note``, large and without a fault; a gigabyte of it costs seconds to write."""
    filler = "x" * width
    with path.open("w") as out:
        out.write("id,note\n")
        for start in range(1, rows + 1, 10_000):
            stop = min(start + 10_000, rows + 1)
            out.write("".join(f"{number},{filler}\n" for number in range(start, stop)))
    return path
