"""Goal: whatever the bytes and whatever is said of them, reading ends soon, within its memory, in records, refused
ones with reasons, or in one clear error; and however it is cut into pieces, it ends in the same.

Method: well-formed files of every kind are broken, and random ones made of what means something to a format. What
fails is written into ``.fuzz``, from where ``python -m tests.fuzz.replay`` reads it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz import seeds, strategies
from tests.fuzz.case import Case
from tests.fuzz.reading import check, early_ratio
from tests.fuzz.rounds import kept, search

if TYPE_CHECKING:
    from hypothesis import strategies as st

# What is searched, how many examples are enough for a look, and its share of a long search.
SEARCHES: dict[str, tuple[st.SearchStrategy[Case], int, float]] = {
    "csv": (strategies.cases({n: c for n, c in seeds.TEXTS.items() if n.endswith(("csv", "tsv"))}), 30, 0.15),
    "json": (strategies.cases({n: c for n, c in seeds.TEXTS.items() if "json" in n}), 20, 0.2),
    "text": (strategies.cases({n: c for n, c in seeds.TEXTS.items() if n.endswith(("txt", "log"))}), 20, 0.1),
    "packed": (strategies.cases(seeds.PACKED), 20, 0.1),
    "archive": (strategies.cases(seeds.ARCHIVES), 20, 0.1),
    "inside": (strategies.packed_cases(), 20, 0.05),
    "random": (strategies.random_cases(), 30, 0.05),
    "workbook": (strategies.workbook_cases(), 2, 0.1),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_reading_ends_well_whatever_is_read(name: str) -> None:
    strategy, few, share = SEARCHES[name]

    def hold(case: Case) -> None:
        with kept(case, name), early_ratio():
            check(case)

    assert search(strategy, hold, few=few, share=share)


# What is no table on purpose.
UNREADABLE = {"nothing", "places.geojson", "bomb.json.xz", "twice.csv.gz.gz"}


SOUND = ["plain.csv", "nested.json", "late.jsonl", "faq.txt", "bomb.csv.gz", "deflate.zip", "several.tar.gz",
         "book.xlsx", "book.xls", "book.ods"]  # fmt: skip


@pytest.mark.parametrize("name", [*SOUND, *sorted(UNREADABLE)])
def test_files_that_are_to_be_broken_are_sound(name: str) -> None:
    outcome = check(Case(name=name, content={**seeds.SEEDS, **seeds.WORKBOOKS}[name]))
    assert (outcome.error is not None) == (name in UNREADABLE)
    assert bool(outcome.records) == (name not in UNREADABLE)
