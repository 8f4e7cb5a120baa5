from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from jobd.errors import SourceError
from jobd.sources.formats.transcode import TranscodedStream
from jobd.sources.packing.detect import unpack
from jobd.sources.places.local import open_file
from jobd.sources.stream import PlainStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobd.sources import Source

CONTENT = b"id,name\n" + b"".join(b"%d,name of %d\n" % (number, number) for number in range(1, 501))


def read_all(source: Source) -> tuple[list[int], str | None]:
    """Row numbers delivered, and the error behind them."""
    rows: list[int] = []
    try:
        for batch in source.batches(None, 7, 1 << 20):
            rows += batch.rows.tolist()
    except SourceError as error:
        return rows, error.error_code
    return rows, None


def test_gzip_is_known_by_its_content_and_members_follow_one_another(opened: Callable[..., Source]) -> None:
    packed = gzip.compress(CONTENT[:3000]) + gzip.compress(b"") + gzip.compress(CONTENT[3000:]) + b"\0" * 600
    source = opened(packed, name="file.txt")
    assert source.detected["compression"] == "gzip"
    assert source.resume_note is not None
    assert read_all(source) == (list(range(1, 501)), None)
    assert source.count_rows() == 500


def test_a_truncated_gzip_gives_every_whole_record_before_its_end(opened: Callable[..., Source]) -> None:
    packed = gzip.compress(CONTENT)
    for cut in range(len(packed) - 9, len(packed)):
        rows, code = read_all(opened(packed[:cut], name=f"{cut}.csv.gz"))
        assert code == "source_truncated"
        assert rows == list(range(1, 501))
    rows, code = read_all(opened(packed[: len(packed) // 2], name="half.csv.gz"))
    assert code == "source_truncated"
    assert 50 < len(rows) < 450
    assert rows == list(range(1, len(rows) + 1))


def test_a_damaged_gzip_is_told_from_a_truncated_one(opened: Callable[..., Source]) -> None:
    packed = bytearray(gzip.compress(CONTENT))
    packed[-6] ^= 0xFF  # its checksum
    assert read_all(opened(bytes(packed))) == (list(range(1, 501)), "source_corrupt")
    assert read_all(opened(gzip.compress(CONTENT) + b"something else"))[1] == "source_corrupt"


def test_seeking_back_inflates_again(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(CONTENT) + gzip.compress(CONTENT))
    file = open_file(str(path), [tmp_path])
    stream = unpack(file, "gzip")
    for position in (100, 5, 9000, 0, len(CONTENT) + 10, 3):
        stream.seek(position)
        assert stream.read(50) == (CONTENT + CONTENT)[position : position + 50]
    with pytest.raises(SourceError, match="shorter"):
        stream.seek(10**9)
    file.close()


def test_the_share_read_never_falls(opened: Callable[..., Source]) -> None:
    for packed in (CONTENT, gzip.compress(CONTENT), b"\xff\xfe" + CONTENT.decode().encode("utf-16-le")):
        shares = [batch.fraction_read for batch in opened(packed).batches(None, 50, 1 << 20)]
        assert shares == sorted(shares)
        assert 0 < shares[0] <= shares[-1] <= 1


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-16"])
def test_utf_16_and_32_are_known_by_their_mark(opened: Callable[..., Source], codec: str) -> None:
    text = "id,näme\n1,€uro\n2,𝄞\n"
    mark = "" if codec == "utf-16" else "\ufeff"
    source = opened((mark + text).encode(codec))
    assert source.header == ["id", "näme"]
    batch = source.reader().read(10, 1 << 20)
    assert batch is not None
    assert [value.text for value in batch.fields(0) + batch.fields(1)] == ["1", "€uro", "2", "𝄞"]
    assert "continuing reads" in (source.resume_note or "")


def test_what_cannot_be_transcoded_costs_its_own_record_only(opened: Callable[..., Source]) -> None:
    broken = "\ufeffid,n\n1,".encode("utf-16-le") + b"\x00\xd8" + "x\n2,b\n3,c".encode("utf-16-le") + b"\n"
    source = opened(broken)
    batch = source.reader().read(10, 1 << 20)
    assert batch is not None
    assert [(each.row_number, each.code) for each in batch.refused] == [(1, "undecodable"), (3, "undecodable")]
    assert batch.rows.tolist() == [2]


def test_a_transcoded_stream_seeks_both_ways(tmp_path: Path) -> None:
    text = "".join(f"{number},héllo\n" for number in range(5000))
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("utf-16-le"))
    file = open_file(str(path), [tmp_path])
    stream = TranscodedStream(PlainStream(file), "utf-16-le")
    utf8 = text.encode()
    for position in (7000, 12, 40000, 0):
        stream.seek(position)
        assert stream.read(64) == utf8[position : position + 64]
    with pytest.raises(SourceError, match="shorter"):
        stream.seek(10**9)
    file.close()
