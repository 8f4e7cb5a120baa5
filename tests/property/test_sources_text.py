"""Goal: lines and blocks come back as they were written, through COPY, whatever stands in them.

Method: PostgreSQL itself reads what is sent; the expectation is made by Python's own string methods.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobd.sources import Limits, ReadOptions, open_source
from jobd.sources.formats import text_parts, window
from tests.support.sources import cells, copied, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.db.embedded import EmbeddedServer

characters = st.one_of(
    st.sampled_from('a;=-\\."\x1e\x1f\r\x85\u2028 \té€𝄞\ufeff'),
    st.characters(exclude_characters="\0\n", codec="utf-8"),
)
lines = st.one_of(st.just("\\."), st.text(characters, max_size=12))
separators = st.sampled_from(["\n\n", "\n", "---\n", "\n--\n\n", "%%", ";", "é\n", "-\n-\n"])
no_cr = st.characters(exclude_characters="\0\n\r", codec="utf-8")
block_pieces = st.one_of(
    st.sampled_from(["a", "\n", "\n", "\n\n", "---", "\n---\n", "--", "-", "%%", "%", ";", "é", " "]),
    st.sampled_from(["\x1e", "\x1f", "\\.", "\n\\.\n"]),
    st.text(no_cr, max_size=3),
)
pieces = st.sampled_from(
    ["a", "b\r", "\n", "\n", "\n\n", "\r\n", "---", "--", "-", "%%", "%", ";", "é", "\x1e", " "]
)
hostile = st.lists(st.one_of(pieces.map(str.encode), st.sampled_from([b"\xff", b"\0"])), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def postgres(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


@given(st.lists(lines, min_size=1, max_size=20), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(["\\.", "", "\x1e\x1e", "\\."], "\r\n", True)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_come_back(
    postgres: psycopg.Connection[Any], written: list[str], line_end: str, ends_with_one: bool
) -> None:
    text = line_end.join(written) + line_end * ends_with_one
    # A carriage return at the end of a line is part of its end.
    expected = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not text.strip("\ufeff") or text.startswith("\ufeff") or ("\n" not in text and "\r" in text):
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file")
        path.write_bytes(text.encode())
        with open_source(str(path), roots=[path.parent], options=ReadOptions(source_type="text")) as source:
            batch = source.reader().read(1000, 1 << 20)
    assert batch is not None
    assert not batch.refused
    assert [cells(batch, index) for index in range(len(batch))] == [[line] for line in expected]
    assert copied(postgres, batch.data, 1, batch.dialect) == [[line] for line in expected]
    assert [batch.raw_record(index).decode() for index in range(len(batch))] == [
        line.rstrip("\r\n") for line in expected
    ]


@given(
    st.lists(block_pieces, max_size=40).map("".join), separators, st.sampled_from(["\n", "\r\n"]), st.booleans()
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_blocks_come_back(
    postgres: psycopg.Connection[Any], text: str, separator: str, line_end: str, takes_apart: bool
) -> None:
    text = text.lstrip("\ufeff")
    if not text:
        return
    found = [block.strip("\n") for block in divided(text, separator)]
    expected = [[block] for block in found if block.strip(" \t\n")]
    if takes_apart:
        expected = [[block[0], block[1:]] for (block,) in expected]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file")
        path.write_bytes(text.replace("\n", line_end).encode())
        pattern = r"(?s)^(?P<first>.)(?P<rest>.*)$" if takes_apart else None
        options = ReadOptions(separator=separator, pattern=pattern)
        with open_source(str(path), roots=[path.parent], options=options) as source:
            batch = source.reader().read(1000, 1 << 20)
    if batch is None:
        assert not expected
        return
    assert not batch.refused
    assert copied(postgres, batch.data, 1 + takes_apart, batch.dialect) == expected
    assert [cells(batch, index) for index in range(len(batch))] == expected


def divided(text: str, separator: str) -> list[str]:
    """What the separator means, said once more."""
    if "\n" not in separator or not separator.strip("\n"):
        return text.split(separator)
    wanted = separator.removeprefix("\n").removesuffix("\n").split("\n")
    blocks: list[list[str]] = [[]]
    lines = text.split("\n")
    while lines:
        if lines[: len(wanted)] == wanted:
            blocks.append([])
            lines = lines[len(wanted) :]
        else:
            blocks[-1].append(lines.pop(0))
    return ["\n".join(block) for block in blocks]


@given(
    hostile.map(b"".join),
    st.one_of(st.none(), separators),
    st.sampled_from([None, r"(?P<a>a)(?P<b>.)?", r"(?P<x>[^-]+)"]),
    st.sampled_from([5, 12, 1 << 20]),
)
@example(b"x" * 20 + b"\n---\nb\n---\r\n" + b"y" * 21 + b"-----\nz\n---\nc", "---\n", None, 5)
@example(b"x" * 20 + b"\r\n\r\n" + b"y" * 22 + b"\n\nc", "\n\n", None, 5)
@example(b"x" * 20 + b"%%%%b", "%%", None, 5)
@example(b"a\n" * 9 + b"-" * 20 + b"\n\n\n\n---\n\r\n---", "---\n", None, 5)
@settings(max_examples=600, deadline=None)
def test_batches_windows_and_restarts_do_not_matter(
    content: bytes, separator: str | None, pattern: str | None, record_bytes_max: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file")
        path.write_bytes(content)
        options = ReadOptions(
            source_type="text",
            separator=separator,
            pattern=pattern,
            limits=Limits(record_bytes=record_bytes_max),
        )
        whole = everything(path, options, 10_000)
        for rows in (1, 7):
            assert everything(path, options, rows) == whole
        assert everything(path, options, 2, resume=True) == whole
        with pytest.MonkeyPatch.context() as patch:
            for size in (1, 5, 64):
                patch.setattr(text_parts, "READ_BYTES", size)
                patch.setattr(window, "_READ_BYTES_MIN", 1)
                assert everything(path, options, 10_000) == whole
