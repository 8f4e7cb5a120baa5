"""Any bytes, packed in any way and read in any pieces from anywhere, are the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.sources import Limits
from jobd.sources.packing import packed, points
from jobd.sources.packing.archive import open_archive
from jobd.sources.packing.codec import CODECS
from jobd.sources.packing.detect import detect_compression
from jobd.sources.packing.packed import PackedStream
from tests.support.packing import PACKERS, ZIP_METHODS, HeldFile, drained, noise, tarred, zipped

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from jobd.sources.stream import Stream

contents = st.one_of(
    st.binary(max_size=2000),
    st.integers(0, 5000).map(noise),
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 200)).map(lambda pair: pair[0] * pair[1]),
)
moves = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1, 90, 3000]), st.booleans()), max_size=12)


def check(stream: Stream, content: bytes, steps: list[tuple[float, int, bool]]) -> None:
    """Read on, or from anywhere, step by step; then all of it."""
    position = 0
    for share, size, is_jump in steps:
        if is_jump:
            position = int(share * len(content))
            stream.seek(position)
        assert stream.read(size) == content[position : position + size]
        position = min(len(content), position + size)
        assert stream.position == position
    assert drained(stream.reopened(), 97) == (content, None)


@pytest.fixture(scope="module", autouse=True)
def _small_pieces() -> Iterator[None]:
    """Borders of pieces, of what is kept and between points, where these contents have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_DECODED_BYTES_MIN", 50)
        patch.setattr(packed, "_DECODED_BYTES_MAX", 500)
        patch.setattr(points, "_SPACING_BYTES", 100)
        yield


@given(
    codec=st.sampled_from(sorted(PACKERS)),
    members=st.lists(contents, min_size=1, max_size=6),
    padding=st.integers(0, 600),
    history_bytes=st.sampled_from([1, 100, 3000]),
    steps=moves,
)
@settings(max_examples=200, deadline=None)
def test_compressed_bytes_come_back(
    codec: str, members: list[bytes], padding: int, history_bytes: int, steps: list[tuple[float, int, bool]]
) -> None:
    file = HeldFile(b"".join(map(PACKERS[codec], members)) + bytes(padding))
    assert detect_compression(file) == codec
    check(PackedStream(file, CODECS[codec], history_bytes=history_bytes), b"".join(members), steps)


@given(
    packing=st.sampled_from([*(f"zip {method}" for method in ZIP_METHODS), "tar", *(f"tar {c}" for c in PACKERS)]),
    members=st.lists(contents, max_size=5),
    order=st.randoms(use_true_random=False),
    steps=moves,
)
@settings(max_examples=150, deadline=None)
def test_members_of_archives_come_back(
    packing: str, members: list[bytes], order: random.Random, steps: list[tuple[float, int, bool]]
) -> None:
    named = {f"{index}.csv": content for index, content in enumerate(members)}
    shuffled = dict(order.sample(sorted(named.items()), len(named)))
    kind, _, codec = packing.partition(" ")
    if kind == "zip":
        content = zipped(shuffled, codec)
    else:
        content = PACKERS[codec](tarred(shuffled)) if codec else tarred(shuffled)
    archive = open_archive(HeldFile(content, name="all"), Limits())
    if archive is None:
        assert not members
        return
    assert [entry.name for entry in archive.entries] == [f"all!/{name}" for name in named]
    files = [archive.open(index) for index in range(len(members))]
    assert [file.size_bytes for file in files] == list(map(len, members))
    for file, expected in zip(files, members, strict=True):
        check(file.stream(), expected, steps)
