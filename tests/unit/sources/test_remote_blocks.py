from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.errors import SourceUnavailable
from jobd.sources.places import blocks
from jobd.sources.places.blocks import BLOCKS_HELD, Blocks
from jobd.sources.places.wildcards import Pattern, fixed_directory

CONTENT = bytes(range(256)) * 40
BLOCK = 1000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(blocks, "_ALONE_BYTES", 100)


def read_all(held: Blocks) -> bytes:
    content = b""
    while piece := held.read(len(content), 300):
        content += piece
    return content


def test_memory_is_bounded_however_much_is_read() -> None:
    held = Blocks(lambda position, size: CONTENT[position : position + size], len(CONTENT))
    for _ in range(3):
        assert read_all(held) == CONTENT
        assert len(held._held) <= BLOCKS_HELD


def test_two_readers_at_different_places_fetch_nothing_twice() -> None:
    fetched: list[int] = []

    def fetch(position: int, size: int) -> bytes:
        fetched.append(position)
        return CONTENT[position : position + size]

    held = Blocks(fetch, len(CONTENT), CONTENT[:BLOCK])
    held.read(5000, 100)  # a jump of the second reader
    for position in range(0, 4000, 200):
        assert held.read(position, 200) == CONTENT[position : position + 200]
        assert held.read(5100 + position, 200) == CONTENT[5100 + position : 5300 + position]
    whole = [position for position in fetched if position != 5000]
    assert len(whole) == len(set(whole))


def test_the_next_block_is_fetched_while_this_one_is_read() -> None:
    is_fetched = threading.Event()

    def fetch(position: int, size: int) -> bytes:
        if position == BLOCK:
            is_fetched.set()
        return CONTENT[position : position + size]

    held = Blocks(fetch, len(CONTENT), CONTENT[:BLOCK])
    held.read(0, 400)
    assert not is_fetched.is_set()
    held.read(400, 200)
    assert is_fetched.wait(10)


def test_a_fetch_that_failed_is_tried_anew_by_the_next_read() -> None:
    answers = [SourceUnavailable("away"), None]

    def fetch(position: int, size: int) -> bytes:
        if failure := answers.pop(0):
            raise failure
        return CONTENT[position : position + size]

    held = Blocks(fetch, len(CONTENT))
    with pytest.raises(SourceUnavailable):
        held.read(0, 10)
    assert held.read(0, 10) == CONTENT[:10]


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 3000)), max_size=20))
def test_any_order_of_reads_gives_the_file_s_bytes(reads: list[tuple[int, int]]) -> None:
    held = Blocks(lambda position, size: CONTENT[position : position + size], len(CONTENT))
    for position, size in reads:
        assert held.read(position, size) == CONTENT[position : position + size]


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("a/*.csv", ["a/b.csv", "a/.csv"], ["a/b/c.csv", "b.csv", "a/b.csvx"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "b"]),
        ("a/**", ["a/b", "a/b/c"], ["b/a", "a"]),
        ("a[0-9]?", ["a0x", "a9y"], ["ax0", "a0/", "a0"]),
        ("a[!0-9]", ["ax"], ["a0", "a/"]),
        ("a[]x]", ["a]", "ax"], ["a["]),
        ("a[b", ["a[b"], ["ab"]),
        ("a.(b)^$", ["a.(b)^$"], ["aX(b)^$"]),
        ("[z-a]b", [], ["ab", "zb"]),
        ("a/*/", ["a/b/c", "a/b/c/d"], ["a/b", "a"]),
        ("**", ["a", "a/b"], []),
        ("**/**/b/**", ["b/c", "a/b/c"], ["b", "a/c"]),
    ],
)
def test_wildcards_mean_what_shells_mean(pattern: str, names: list[str], others: list[str]) -> None:
    assert all(Pattern(pattern).matches(name) for name in names)
    assert not any(Pattern(pattern).matches(name) for name in others)


def test_no_pattern_takes_for_ever() -> None:
    assert not Pattern("*a" * 200 + "b").matches("a" * 1000)
    assert not Pattern("**/a/" * 100 + "b").matches("a/" * 500 + "c")


def test_a_pattern_is_looked_for_in_the_directory_that_is_certain() -> None:
    patterns = ["a/b/*.csv", "a/b*/c", "*", "a/[x]/y", "a/b/"]
    assert [fixed_directory(pattern) for pattern in patterns] == ["a/b/", "a/", "", "a/", "a/b/"]
