from __future__ import annotations

import gzip
import lzma
import struct
import zlib
from typing import TYPE_CHECKING

import pytest

from jobd.errors import SourceError
from jobd.sources import Limits
from jobd.sources.packing.detect import detect_compression, resume_note, unpack
from jobd.sources.packing.points import KeptPoints, Point
from tests.support.packing import PACKERS, HeldFile, drained, noise, tarred, zipped, zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import Source

LINES = b"".join(b"%d,name of %d\n" % (number, number * 7919 % 1000) for number in range(3000))
codecs = pytest.mark.parametrize("codec", PACKERS)


@codecs
def test_members_follow_one_another_and_zeros_pad_the_end(codec: str) -> None:
    pack = PACKERS[codec]
    file = HeldFile(pack(LINES) + pack(b"") + pack(LINES[:99]) + bytes(300_000))
    assert detect_compression(file) == codec
    content = LINES + LINES[:99]
    for size in (7, 65_536, 10_000_000):
        assert drained(unpack(file, codec), size) == (content, None)
        stream = unpack(file, codec)
        stream.seek(len(content) - 500)
        assert drained(stream, size) == (content[-500:], None)


@codecs
def test_bytes_behind_the_last_member_are_corrupt(codec: str) -> None:
    for rest in (b"something else", b"\0\0x"):
        assert drained(unpack(HeldFile(PACKERS[codec](LINES) + rest), codec)) == (LINES, "source_corrupt")


@codecs
def test_a_file_cut_anywhere_gives_what_came_before_the_cut(codec: str) -> None:
    content = LINES * 6
    whole = PACKERS[codec](content)
    before = 0
    for cut in sorted({*range(6, len(whole), 97), *range(len(whole) - 12, len(whole))}):
        found, code = drained(unpack(HeldFile(whole[:cut]), codec))
        assert code == "source_truncated"
        assert content.startswith(found)
        assert len(found) >= before
        before = len(found)
    assert before == (2 << 17 if codec == "zstd" else len(content))  # zstd gives whole blocks only


@codecs
def test_a_byte_altered_anywhere_is_an_error_or_does_not_matter(codec: str) -> None:
    whole = PACKERS[codec](LINES[:2000])
    for at in range(6, len(whole), 3):
        broken = bytearray(whole)
        broken[at] ^= 0x55
        content, code = drained(unpack(HeldFile(bytes(broken)), codec))
        assert (
            code in {"source_corrupt", "source_truncated", "source_too_large"}
            or content == LINES[:2000]
            or (
                codec in {"zstd", "lzma"}  # without a checksum, which is theirs to leave out
            )
        )


@codecs
def test_nothing_that_precedes_a_break_is_lost(codec: str) -> None:
    good = LINES * 30
    for cut in (200, 40_000):
        bad = bytearray(PACKERS[codec](LINES))
        bad[len(bad) // 2 : len(bad) // 2 + 40] = b"\xff" * 40
        content, code = drained(unpack(HeldFile(PACKERS[codec](good[:cut]) + bytes(bad)), codec))
        assert content.startswith(good[:cut])
        assert code in {"source_corrupt", "source_truncated"}


@pytest.mark.parametrize("size", [10, 70_000, 3_000_000])
def test_a_break_within_a_block_costs_not_one_byte_before_it(size: int) -> None:
    content = noise(size // 2) + bytes(size // 2)
    deflate = zlib.compressobj(6, wbits=31)
    damaged = deflate.compress(content) + deflate.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 9
    assert drained(unpack(HeldFile(damaged), "gzip")) == (content, "source_corrupt")
    blocks = zstd.ZstdCompressor()
    damaged = blocks.compress(content, zstd.ZstdCompressor.FLUSH_BLOCK) + b"\xff" * 9
    assert drained(unpack(HeldFile(damaged), "zstd")) == (content, "source_corrupt")


@pytest.mark.parametrize("codec", ["gzip", "zstd", "bzip2", "xz"])
def test_a_wrong_checksum_is_told_behind_the_last_record(opened: Callable[..., Source], codec: str) -> None:
    pack = PACKERS[codec]
    if codec == "zstd":
        broken = bytearray(zstd.compress(LINES, options={zstd.CompressionParameter.checksum_flag: 1}))
    else:
        broken = bytearray(pack(LINES))
    broken[{"gzip": -6, "zstd": -1, "bzip2": -2, "xz": -9}[codec]] ^= 1
    source = opened(bytes(broken), header=False)
    reader = source.reader()
    batch = reader.read(10_000, 1 << 20)
    assert batch is not None
    assert batch.rows.tolist() == list(range(1, 3001))
    with pytest.raises(SourceError) as refusal:
        reader.read(10_000, 1 << 20)
    assert refusal.value.error_code == "source_corrupt"


@codecs
def test_a_source_is_unpacked_whatever_its_name(opened: Callable[..., Source], codec: str) -> None:
    source = opened(PACKERS[codec](b"id,name\n" + LINES), name="misleading.zip")
    assert source.detected["compression"] == codec
    assert source.count_rows() == 3000
    batch = source.reader().read(10_000, 1 << 20)
    assert batch is not None
    assert batch.data == LINES
    assert batch.fraction_read == 1.0
    cursor = batch.cursor
    again = opened(PACKERS[codec](b"id,name\n" + LINES), name="misleading.zip", detected=source.detected)
    again.verify(cursor)
    assert "continuing reads" in (source.resume_note or "")
    assert abs(source.estimate_rows() - 3000) < 300


def test_a_zstd_file_may_begin_with_a_frame_to_skip() -> None:
    skipped = b"\x55\x2a\x4d\x18" + struct.pack("<I", 3) + b"abc"
    file = HeldFile(skipped + zstd.compress(LINES) + skipped + zstd.compress(b"end"))
    assert detect_compression(file) == "zstd"
    assert drained(unpack(file, "zstd")) == (LINES + b"end", None)


@pytest.mark.parametrize(
    "text", [b"BZh9,b\n1,2\n", b"BZhello,b\n", b"]\0", b"]\0\0abc,1234567", b"\x1f", b"(,b\n"]
)
def test_text_that_begins_like_a_mark_is_text(text: bytes) -> None:
    assert detect_compression(HeldFile(text)) is None


@pytest.mark.parametrize("codec", ["gzip", "zstd", "bzip2", "xz"])
def test_compressed_twice_is_not_unpacked_twice(opened: Callable[..., Source], codec: str) -> None:
    with pytest.raises(SourceError, match=f"{codec} twice") as refusal:
        opened(gzip.compress(PACKERS[codec](LINES)))
    assert refusal.value.error_code == "format_undetectable"


def test_an_archive_within_a_compressed_file_is_told(opened: Callable[..., Source]) -> None:
    with pytest.raises(SourceError, match="one level deep"):
        opened(gzip.compress(zipped({"a.csv": LINES})))


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_what_expands_too_much_stops_at_the_bound(codec: str) -> None:
    file = HeldFile(PACKERS[codec](bytes(80 << 20)), name="bomb")
    stream = unpack(file, codec, Limits(expansion_ratio=100))
    with pytest.raises(SourceError, match="JOBD_EXPANSION_RATIO_MAX") as refusal:
        stream.seek(80 << 20)
    assert refusal.value.error_code == "source_too_large"
    assert 63 << 20 <= stream.position <= 64 << 20
    unpack(file, codec, Limits(expansion_ratio=100_000)).seek(80 << 20)


@codecs
def test_the_bytes_up_to_the_largest_size_are_delivered(codec: str) -> None:
    file = HeldFile(PACKERS[codec](LINES))
    for bound in (1, 1000, len(LINES) - 1):
        stream = unpack(file, codec, Limits(expanded_bytes=bound))
        assert drained(stream, 777) == (LINES[:bound], "source_too_large")
    assert drained(unpack(file, codec, Limits(expanded_bytes=len(LINES)))) == (LINES, None)
    with pytest.raises(SourceError, match="JOBD_EXPANDED_BYTES_MAX"):
        unpack(file, codec, Limits(expanded_bytes=5)).seek(1000)


def test_a_dictionary_of_gigabytes_is_refused() -> None:
    old = bytearray(lzma.compress(LINES, lzma.FORMAT_ALONE))
    old[1:5] = struct.pack("<I", 1 << 31)
    window = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 28})
    long = window.compress(bytes(1000)) + window.flush()
    modern = bytearray(lzma.compress(LINES))
    assert modern[14:17] == b"\x21\x01\x16"  # filter LZMA2, one byte of properties, 8 MiB
    modern[16] = 40
    modern[20:24] = zlib.crc32(modern[12:20]).to_bytes(4, "little")
    for codec, content in (("lzma", bytes(old)), ("zstd", long), ("xz", bytes(modern))):
        with pytest.raises(SourceError, match="128 MiB") as refusal:
            unpack(HeldFile(content), codec).read(10)
        assert refusal.value.error_code == "source_too_large"


def test_little_is_decoded_for_a_little() -> None:
    file = HeldFile(gzip.compress(noise(3 << 20), 1))
    unpack(file, "gzip").read(100)
    assert file.bytes_read <= 1 << 18


def test_going_back_in_gzip_begins_at_a_kept_point() -> None:
    content = noise(40 << 20)
    file = HeldFile(gzip.compress(content, 0))
    stream = unpack(file, "gzip")
    stream.seek(len(content))
    for position in (39 << 20, 30 << 20, 20 << 20):
        file.reads.clear()
        stream.seek(position)
        assert stream.read(64) == content[position : position + 64]
        assert file.bytes_read < (len(content) - position) + (6 << 20)
        again = stream.reopened()
        file.reads.clear()
        again.seek(position)
        assert file.bytes_read < (len(content) - position) + (6 << 20)
    file.reads.clear()
    stream.seek(position - (1 << 19))
    stream.seek(position)
    stream.read(100)
    assert file.bytes_read < 12 << 20


def test_the_kept_points_are_few_and_lie_closer_towards_the_end() -> None:
    points, step = KeptPoints(), 4 << 20
    for number in range(1, 2000):
        if points.wants(number * step):
            points.add(Point(number * step, number, None))
    positions = {points.before(number * step).position for number in range(2000)}
    assert len(positions) <= 16
    for back in range(1, 2000):
        position = (2000 - back) * step
        assert position - points.before(position).position <= 2 * (back + 1) * step


@pytest.mark.parametrize("codec", ["zstd", "bzip2", "xz"])
def test_going_back_begins_where_a_stream_or_frame_does(codec: str) -> None:
    content = noise(6 << 20)
    members = [content[at : at + (1 << 20)] for at in range(0, len(content), 1 << 20)]
    file = HeldFile(b"".join(PACKERS[codec](member) for member in members))
    stream = unpack(file, codec)
    stream.seek(len(content))
    file.reads.clear()
    stream.seek((4 << 20) + 5)
    assert stream.read(50) == content[(4 << 20) + 5 :][:50]
    assert file.bytes_read < 2 << 20


def test_going_back_a_little_reads_nothing_again() -> None:
    content = noise(4 << 20)
    for codec in ("gzip", "xz"):
        file = HeldFile(PACKERS[codec](content))
        stream = unpack(file, codec)
        stream.seek(3 << 20)
        file.reads.clear()
        stream.seek((3 << 20) - (1 << 19))
        assert stream.read(1000) == content[(3 << 20) - (1 << 19) :][:1000]
        assert file.bytes_read == 0


@codecs
def test_seeking_behind_the_end_is_a_change(codec: str) -> None:
    stream = unpack(HeldFile(PACKERS[codec](LINES)), codec)
    with pytest.raises(SourceError, match="shorter") as refusal:
        stream.seek(1 << 30)
    assert refusal.value.error_code == "source_changed"
    assert stream.read(10) == b""
    stream.seek(3)
    assert stream.read(10) == LINES[3:13]


def test_the_note_says_what_going_back_costs() -> None:
    assert "kept points" in resume_note("gzip")
    assert "a frame begins" in resume_note("zstd")
    assert resume_note("gzip and UTF-16-LE").endswith("from its start")


def test_thousands_of_small_members_are_one_stream() -> None:
    content = b"".join(gzip.compress(b"%d\n" % number, 1) for number in range(5000))
    assert drained(unpack(HeldFile(content), "gzip")) == (
        b"".join(b"%d\n" % number for number in range(5000)),
        None,
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tar_archive_is_never_taken_for_text(
    opened: Callable[..., Source], pack: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(SourceError, match="tar archive") as refusal:
        opened(pack(tarred({"a.csv": LINES})))
    assert refusal.value.error_code == "format_undetectable"


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz", ".lzma"])
def test_a_name_tells_the_format_beneath_its_packing(opened: Callable[..., Source], suffix: str) -> None:
    source = opened(zstd.compress(b'broken\n{"a": 1}\n'), name=f"a.jsonl{suffix}", fields=("a",))
    assert source.detected["format"] == "jsonl"
