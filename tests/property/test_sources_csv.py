"""Goal: what the reader delivers is what COPY loads, cell by cell, however nasty the file and wherever it is cut.

Method: files are put together from the pieces that make CSV hard; PostgreSQL itself is the judge.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobd.errors import SourceError
from jobd.sources import Limits, ReadOptions, open_source
from jobd.sources.formats import csv_parts, window
from tests.support.sources import cells, copied, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.db.embedded import EmbeddedServer

# jobd's own refusals of files that COPY takes: see the rule on top of csv_cutter.
OWN_RULES = {"stray_quote", "record_too_long"}

# Blanks divide the pieces; the commonest stand there more than once.
PIECES = (
    rb"""a bc , , , " " "" "," "\n" \n \n \n \r\n \r \\ \\" \\. \n\\.\n \xc3\xa9 \xff \x00 \n"x\ny"\n ' \x20"""
)
pieces = st.sampled_from([piece.decode("unicode_escape").encode("latin-1") for piece in PIECES.split()])
regular = st.sampled_from(
    [b"a", b"bc ", b",", b",", b'"x,y"', b'"x\ny"', b'"q""q"', b'""', b"\n", b"\n", b"a,b\n"]
)
files = st.one_of(
    st.lists(pieces, min_size=1, max_size=40).map(b"".join),
    st.lists(regular, min_size=1, max_size=60).map(b"".join),
)


@pytest.fixture(scope="module")
def postgres(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


@given(files, st.sampled_from(['"', "\\"]))
@example(b'a,"b\nc,d\n', '"')
@example(b'1,5" pipe\n2,6" pipe\n', '"')
@example(b"a\n\n\\.\nb\n", '"')
@example(b'a,"x\\"y\nz"\nb,c\n', "\\")
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_those_that_copy_loads(postgres: psycopg.Connection[Any], content: bytes, escape: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.csv")
        path.write_bytes(content)
        options = ReadOptions(
            source_type="csv", header=False, delimiter=",", quote='"', escape=escape, encoding="utf-8"
        )
        if not content.strip(b"\r\n"):
            return
        try:
            source = open_source(str(path), roots=[path.parent], options=options)
        except SourceError:
            return  # its first record is broken already, so that nothing is known of its columns
        with source:
            columns = source.column_count
            batch = source.reader().read(10_000, 1 << 20)
            dialect = source.dialect
        assert batch is not None
        delivered = [cells(batch, index) for index in range(len(batch))]
        assert copied(postgres, batch.data, columns, batch.dialect) == delivered
        if b"\\." in content and postgres.info.server_version < 180_000:
            return  # before 18 COPY itself stops there, without a word
        original = copied(postgres, content, columns, dialect)
        codes = {each.code for each in batch.refused}
        if not isinstance(original, str) and (escape == '"' or b"\\" not in content):
            assert not codes or codes & OWN_RULES, "COPY takes what was refused"
            if not codes and batch.raw is None:
                assert delivered == original


@given(files, st.sampled_from(['"', "\\"]), st.sampled_from([30, 100, 1 << 20]))
@example(b',,"x,y",,a,b\nbc "q""q"""""abc "x,y""x\ny","q""q",,bc bc "q""q""x,y",""\n', '"', 30)
@settings(max_examples=300, deadline=None)
def test_batches_windows_and_restarts_do_not_matter(content: bytes, escape: str, record_bytes_max: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.csv")
        path.write_bytes(content)
        options = ReadOptions(
            source_type="csv",
            header=False,
            delimiter=",",
            quote='"',
            escape=escape,
            encoding="utf-8",
            limits=Limits(record_bytes=record_bytes_max),
        )
        try:
            whole = everything(path, options, 10_000)
        except SourceError:
            return
        for rows in (1, 7):
            assert everything(path, options, rows) == whole
        assert everything(path, options, 2, resume=True) == whole
        with pytest.MonkeyPatch.context() as patch:
            for size in (1, 5, 64):
                patch.setattr(csv_parts, "READ_BYTES", size)
                patch.setattr(csv_parts, "_CAREFUL_BYTES", size * 2)
                patch.setattr(window, "_READ_BYTES_MIN", 1)
                assert everything(path, options, 10_000) == whole
