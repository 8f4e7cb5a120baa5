"""Files that are read together give what they give one by one."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobd.errors import SourceError
from jobd.sources import Feed, FeedOptions, Places, ReadOptions, open_files
from jobd.sources.small_files import SmallFiles
from tests.support.sources import cells

_values = st.sampled_from(["1", '"x"', "null", "[1, 2]", '{"a": 1}', '"a\\nb"', '"\\u00e4"', "true", '"\\ud800"'])
_keys = st.sampled_from(["id", "id", "name", "late", "later", "unknown"])
_objects = st.lists(st.tuples(_keys, _values), min_size=1, max_size=4).map(
    lambda pairs: "{" + ",\n ".join(f'"{key}": {value}' for key, value in pairs) + "}"
)
_texts = st.one_of(
    _objects,
    st.tuples(st.sampled_from(["", "\n", " \n\n"]), _objects, st.sampled_from(["", "\n", "\n\n"])).map("".join),
    st.tuples(_objects, _objects).map("\n".join),
    st.sampled_from(
        [
            "",
            "[]",
            "[1]",
            '[{"id": 1}, {"id": 2}]',
            '{"id": ',
            "{}",
            '{"a": {"id": 1}, "b": {"id": 2}}',
            "id,name\n1,2",
        ]
    ),
)


def everything(directory: Path, size: int, *, one_by_one: bool) -> tuple[list[Any], list[Any], str | None]:
    """Records with what they are known by, how files ended, and the code of what broke the reading off."""
    records: list[Any] = []
    ended: list[Any] = []
    with ExitStack() as patches:
        if one_by_one:
            patches.enter_context(mock.patch.object(SmallFiles, "like", return_value=None))
        files = open_files(str(directory), Places(roots=[directory]))
        options = FeedOptions(reading=ReadOptions(), detected={}, skips_broken=True)
        feed = Feed(files, options)
        feed.accepts = lambda name: name in {"late", "later"}
        try:
            while (batch := feed.read(size, 1 << 20)) is not None:
                ended += [(end.file, end.status, end.error_code) for end in batch.ended]
                ended += [(span.file, "completed", None) for span in batch.spans if span.is_ended]
                for index in range(len(batch)):
                    pairs = zip(batch.header, cells(batch, index), strict=True)
                    known = {name: value for name, value in pairs if value is not None}
                    row, line = int(batch.rows[index]), int(batch.lines[index])
                    records.append((batch.file_of(index), row, line, known, batch.raw_record(index)))
                records += [
                    (batch.file_of_refused(index), each.row_number, each.line_number, each.code, each.raw)
                    for index, each in enumerate(batch.refused)
                ]
        except SourceError as error:
            return records, ended, error.error_code
        finally:
            feed.close()
            files.close()
    return sorted(records, key=str), sorted(ended), None


@settings(max_examples=60, deadline=None)
@example(['{"id": 1}', '{"id": 2, "late": 3}', '{"id": 4}', '{"late": 5}'], 100)
@example(['{"id": 1}', '{"id": 2}', '{"id": 3, "unknown": 1}', '{"id": 4}'], 100)
@example(['{"id": 1}', '{"id": 2}\n{"id": 3}', '{"id": 4}'], 2)
@example(['{"id": 1}', '{"id": 1}', '\n{"id": 1}', '{"id": 1}\n \n'], 100)
@given(st.lists(_texts, min_size=1, max_size=12), st.sampled_from([1, 2, 100]))
def test_small_files_give_together_what_they_give_one_by_one(texts: list[str], size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for number, text in enumerate(texts):
            (directory / f"{number:03}.json").write_bytes(text.encode())
        assert everything(directory, size, one_by_one=False) == everything(directory, size, one_by_one=True)
