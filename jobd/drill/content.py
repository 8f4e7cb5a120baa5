"""What the drill's files contain, and what must become of each record.

Everything follows from a seed, so records are made anew where they are needed again, and are never all in memory.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Of so many records one is refused, and one brings a key of before again.
REFUSED_EVERY = 60
REPEATED_EVERY = 45
REPEATED_FROM = 300
NOTES = (None, "plain", "a, comma", 'a "quote"', "two\nlines", "\N{SNOWMAN} and ü", "NULL", "\\.", " blanks ")
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)

READING = ("id", "amount", "taken_at", "note")
ENTRY = ("file", "number", "note")
STOCK = ("sku", "file", "number")
SMALL = ("id", "note")


class Record(NamedTuple):
    """A record as it stands in the file, and what the table holds of it then.

    ``fate``: added, updated, unchanged or refused; brought = added or updated, which depends on other jobs.
    """

    line: bytes
    fate: str
    row: tuple[Any, ...] = ()
    code: str | None = None


def csv_header(columns: Sequence[str]) -> bytes:
    """The first line."""
    return ",".join(columns).encode() + b"\n"


def csv_readings(seed: int, first_id: int, count: int) -> Iterator[Record]:
    """Measurements: good ones, refused ones of several kinds, and keys that come again as they were or changed."""
    return _readings(seed, first_id, count, _CSV_FAULTS, _csv_line)


def json_readings(seed: int, first_id: int, count: int) -> Iterator[Record]:
    """The same as JSON Lines."""
    return _readings(seed, first_id, count, _JSON_FAULTS, _json_line)


def entries(file: str, count: int) -> Iterator[Record]:
    """Plain rows for the table without a key."""
    for number in range(1, count + 1):
        note = f"entry {number} of {file}"
        yield Record(f"{file},{number},{note}\n".encode(), "added", (file, number, note))


def stock(file: str, skus: Sequence[int]) -> Iterator[Record]:
    """A row for each key, in the order given; other files bring rows of the same keys."""
    for number, sku in enumerate(skus, 1):
        yield Record(f"{sku},{file},{number}\n".encode(), "brought", (sku, file, number))


def small(first_id: int, count: int) -> Iterator[Record]:
    """The few rows of a small file."""
    for key in range(first_id, first_id + count):
        yield Record(f"{key},small {key}\n".encode(), "added", (key, f"small {key}"))


def _readings(seed: int, first_id: int, count: int, faults: Sequence[Any], line: Any) -> Iterator[Record]:
    dice = random.Random(seed)  # noqa: S311  to be repeated
    good: list[dict[str, Any]] = []
    refused = 0
    for number in range(count):
        values = _values(first_id + number, number, dice)
        if good and number % REFUSED_EVERY == REFUSED_EVERY // 2:
            code, spoil = faults[refused % len(faults)]
            refused += 1
            yield Record(spoil(values, line), "refused", code=code)
        elif good and number % REPEATED_EVERY == 0:
            again = dice.randrange(len(good))
            if dice.random() < 0.5:
                good[again] = {**good[again], "note": f"again as {number}"}
                yield Record(line(good[again]), "updated", _row(good[again]))
            else:
                yield Record(line(good[again]), "unchanged", _row(good[again]))
        else:
            good = [*good[-REPEATED_FROM:], values]
            yield Record(line(values), "added", _row(values))


def _values(key: int, number: int, dice: random.Random) -> dict[str, Any]:
    return {
        "id": key,
        "amount": f"{dice.randint(0, 99_999) / 100:.2f}",
        "taken_at": (EPOCH + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "note": dice.choice(NOTES),
    }


def _row(values: dict[str, Any]) -> tuple[Any, ...]:
    taken_at = datetime.fromisoformat(values["taken_at"])
    return (values["id"], Decimal(values["amount"]), taken_at, values["note"])


def _csv_line(values: dict[str, Any]) -> bytes:
    fields = ["" if value is None else str(value) for value in values.values()]
    if values["note"] is not None:
        fields[-1] = '"' + fields[-1].replace('"', '""') + '"'
    return ",".join(fields).encode() + b"\n"


def _json_line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _with(name: str, value: Any) -> Any:
    return lambda values, line: line({**values, name: value})


_OF_VALUES = (
    ("invalid_value", _with("amount", "many")),
    ("check_violation", _with("amount", "-0.01")),
    ("too_long", _with("note", "n" * 41)),
    ("key_is_null", _with("id", None)),
    ("null_not_allowed", _with("taken_at", None)),
)
_CSV_FAULTS = (*_OF_VALUES, ("too_few_fields", lambda values, _line: f"{values['id']},1.00\n".encode()))
_JSON_FAULTS = (*_OF_VALUES, ("malformed_json", lambda values, line: line(values)[:-2] + b"\n"))
