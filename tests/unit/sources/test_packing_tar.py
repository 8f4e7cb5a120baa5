from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from jobd.errors import SourceError
from jobd.model.files import FileEntry
from jobd.sources import Limits, ReadOptions
from jobd.sources.open import open_stored
from jobd.sources.packing import tar
from jobd.sources.packing.archive import Archive, open_archive
from tests.support.packing import PACKERS, HeldFile, drained, noise, tarred

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = b"".join(b"%d,name of %d\n" % (number, number * 7919 % 1000) for number in range(3000))
PACKED: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, **PACKERS}
packings = pytest.mark.parametrize("packing", PACKED)
forms = pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def archive_of(content: bytes, limits: Limits | None = None) -> Archive:
    archive = open_archive(HeldFile(content, name="/in/a.tar"), limits or Limits())
    assert archive is not None
    return archive


def names(archive: Archive) -> list[str]:
    return [entry.name.removeprefix("/in/a.tar!/") for entry in archive.entries]


def kind_of(kind: bytes, name: str = "odd", link: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, link
    return header


@packings
@forms
def test_members_are_listed_by_name_and_read_as_they_were(packing: str, form: int) -> None:
    content = tarred({"b/z.csv": LINES, "a.csv": b"", "./b/a.csv": noise(300_000)}, form)
    archive = archive_of(PACKED[packing](content))
    assert archive.entries == [
        FileEntry("/in/a.tar!/a.csv", 0, 1_700_000_000_000_000_000),
        FileEntry("/in/a.tar!/b/a.csv", 300_000, 1_700_000_000_000_000_000),
        FileEntry("/in/a.tar!/b/z.csv", len(LINES), 1_700_000_000_000_000_000),
    ]
    assert archive.defect is None
    assert [drained(archive.open(index).stream(), 7001)[0] for index in range(3)] == [b"", noise(300_000), LINES]
    stream = archive.open(2).stream()
    for position in (40_000, 3, 20_000, len(LINES)):
        stream.seek(position)
        assert stream.read(100) == LINES[position : position + 100]


@packings
def test_a_member_is_a_source_like_any_other(packing: str) -> None:
    content = tarred({"a.csv": b"id,name\n" + LINES, "b.csv": PACKERS["zstd"](b"id,name\n" + LINES)})
    archive = archive_of(PACKED[packing](content))
    for index in range(2):
        source = open_stored(archive.open(index), ReadOptions())
        assert source.detected["compression"] == (None, "zstd")[index]
        assert source.count_rows() == 3000
        assert abs(source.estimate_rows() - 3000) < 300
        batch = source.reader().read(2000, 1 << 20)
        assert batch is not None
        again = open_stored(archive.open(index), ReadOptions(), source.detected)
        rest = again.reader(batch.cursor).read(2000, 1 << 20)
        assert rest is not None
        assert batch.data + rest.data == LINES


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_foreign_letters_are_read(form: int) -> None:
    long = "/".join(["directory" * 5] * 8) + "/日本é.csv"
    archive = archive_of(tarred({long: LINES, "é.csv": b"1"}, form))
    assert names(archive) == [long, "é.csv"]
    assert drained(archive.open(0).stream()) == (LINES, None)


def test_a_long_name_may_be_split_in_two() -> None:
    long = "d" * 100 + "/" + "f" * 90
    assert names(archive_of(tarred({long: b"1"}, tarfile.USTAR_FORMAT))) == [long]


def test_pax_may_state_size_and_time() -> None:
    header = tarfile.TarInfo("a.csv")
    header.mtime = 1_700_000_000.25
    header.pax_headers = {"comment": "with = and\nline end"}
    archive = archive_of(tarred({"": header, "b.csv": LINES}))
    assert [entry.modified_ns - 1_700_000_000_000_000_000 for entry in archive.entries] == [250_000_000, 0]


def test_pax_may_state_what_holds_for_all_members() -> None:
    everywhere = tarfile.TarInfo.create_pax_global_header({"mtime": "5", "comment": "of all"})
    archive = archive_of(everywhere + tarred({"a.csv": LINES, "b.csv": LINES}))
    assert [entry.modified_ns for entry in archive.entries] == [5_000_000_000, 5_000_000_000]


def test_the_oldest_form_is_read() -> None:
    block = bytearray(tarred({"d/": b"", "a.csv": LINES}, tarfile.USTAR_FORMAT))
    for at in (0, 512):
        block[at + 257 : at + 265] = bytes(8)
        block[at + 156] = 0
        block[at + 148 : at + 156] = b" " * 8
        block[at + 148 : at + 156] = b"%06o\0 " % sum(block[at : at + 512])
    assert names(archive_of(bytes(block))) == ["a.csv"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "symbolic link to /etc/passwd"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.FIFOTYPE, "named pipe"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
        (b"M", "another volume"),
        (b"Q", "not known"),
    ],
)
def test_what_is_no_regular_file_is_refused(kind: bytes, words: str) -> None:
    archive = archive_of(tarred({"1": kind_of(kind, link="/etc/passwd"), "a.csv": LINES}))
    assert names(archive) == ["a.csv"]
    assert drained(archive.open(0).stream()) == (LINES, None)
    [(name, reason)] = archive.refused
    assert name == "/in/a.tar!/odd"
    assert words in reason


def test_a_sparse_file_of_pax_is_refused() -> None:
    header = kind_of(tarfile.REGTYPE, "GNUSparseFile.0/a")
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "real.csv"}
    assert archive_of(tarred({"1": header})).refused == [("/in/a.tar!/real.csv", "is a sparse file")]


def test_names_that_lead_elsewhere_are_refused_and_hidden_ones_left_out() -> None:
    members = ["../a", "/etc/b", "C:\\c", "d/../e", "..\\f", ".hidden/g", "._h", "i"]
    archive = archive_of(tarred(dict.fromkeys(members, b"x")))
    assert names(archive) == ["i"]
    assert len(archive.refused) == 5


def test_members_of_one_name_are_numbered() -> None:
    content = tarred({"a.csv": b"1"})[:1024] + tarred({"a.csv": b"2"})
    archive = archive_of(content)
    assert names(archive) == ["a.csv", "a.csv (2)"]
    assert [drained(archive.open(index).stream())[0] for index in range(2)] == [b"1", b"2"]


@packings
def test_an_archive_cut_anywhere_gives_what_came_before_the_cut(packing: str) -> None:
    whole = {"a.csv": LINES, "b.csv": noise(5000), "c.csv": LINES[::-1]}
    content = PACKED[packing](tarred(whole))
    end = len(content) - (9_000 if packing == "plain" else 0)
    seen = set()
    for cut in sorted({*range(600, end, max(1, end // 60)), end - 1}):
        file = HeldFile(content[:cut], name="/in/a.tar")
        archive = open_archive(file, Limits())
        if archive is None:
            continue
        defect = archive.defect
        for index, name in enumerate(names(archive)):
            found, code = drained(archive.open(index).stream())
            assert whole[name].startswith(found)
            assert code == (None if found == whole[name] else "source_truncated")
            assert code is None or (defect is not None and index == len(archive.entries) - 1)
            seen.add((name, code))
        assert packing == "plain" or defect is not None  # a plain one may be cut between two members
        assert defect is None or defect.error_code == "source_truncated"
    if packing not in {"zstd", "bzip2"}:
        assert {("a.csv", None), ("a.csv", "source_truncated"), ("c.csv", "source_truncated")} <= seen


@packings
def test_a_damaged_header_breaks_off_behind_what_came_before(packing: str) -> None:
    content = bytearray(tarred({"a.csv": LINES, "b.csv": LINES}, tarfile.USTAR_FORMAT))
    second = content.index(b"b.csv")
    content[second + 3] ^= 1
    archive = archive_of(PACKED[packing](bytes(content)))
    assert names(archive) == ["a.csv"]
    assert drained(archive.open(0).stream()) == (LINES, None)
    assert archive.defect is not None
    assert archive.defect.error_code == "source_corrupt"


def test_a_checksum_of_the_packing_is_looked_at_to_its_end() -> None:
    broken = bytearray(PACKERS["gzip"](tarred({"a.csv": LINES})))
    broken[-6] ^= 1
    archive = archive_of(bytes(broken))
    assert drained(archive.open(0).stream())[0] == LINES
    assert archive.defect is not None
    assert archive.defect.error_code == "source_corrupt"


@pytest.mark.parametrize("at", range(0, 512, 7))
def test_a_byte_altered_in_a_header_harms_nobody(at: int) -> None:
    content = bytearray(tarred({"a" * 120: LINES}))
    for start in (0, 512, 1024):
        broken = content.copy()
        broken[start + at] ^= 0x91
        try:
            archive = open_archive(HeldFile(bytes(broken)), Limits())
        except SourceError as error:
            assert error.error_code in {"source_corrupt", "source_truncated"}  # noqa: PT017
        else:
            for index in range(len(archive.entries) if archive else 0):
                assert archive is not None
                drained(archive.open(index).stream())


def test_an_extended_header_of_gigabytes_is_not_read() -> None:
    header = kind_of(tarfile.XHDTYPE)
    header.size = 1 << 40
    archive = archive_of(tarred({"a.csv": LINES[:512]})[:1024] + header.tobuf(tarfile.GNU_FORMAT))
    assert names(archive) == ["a.csv"]
    assert archive.defect is not None
    assert "extended header" in str(archive.defect)


def test_the_number_of_members_is_bounded() -> None:
    content = tarred({f"{number}.csv": b"x" for number in range(11)})
    assert len(archive_of(content, Limits(files=11)).entries) == 11
    with pytest.raises(SourceError, match="JOBD_FILES_MAX") as refusal:
        archive_of(content, Limits(files=10))
    assert refusal.value.error_code == "source_too_large"


def test_what_expands_too_much_is_refused() -> None:
    content = PACKERS["gzip"](tarred({"a.csv": bytes(70 << 20)}))
    with pytest.raises(SourceError, match="JOBD_EXPANSION_RATIO_MAX") as refusal:
        archive_of(content, Limits(expansion_ratio=500))
    assert refusal.value.error_code == "source_too_large"


@pytest.mark.parametrize("packing", ["zstd", "xz"])
def test_members_read_in_their_order_are_unpacked_once(packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "_KEPT_BYTES", 1 << 19)
    members = {f"{number:03}.csv": noise(20_000 + number) for number in range(60)}
    file = HeldFile(PACKERS[packing](tarred(members)))
    archive = open_archive(file, Limits())
    assert archive is not None
    file.reads.clear()
    for index, content in enumerate(members.values()):
        stored = archive.open(index)
        assert stored.stream().read(16) == content[:16]
        assert drained(stored.stream()) == drained(stored.stream()) == (content, None)
    assert file.bytes_read <= file.size_bytes + (1 << 17)
    assert drained(archive.open(0).stream()) == (members["000.csv"], None)


def test_a_small_archive_is_unpacked_once_in_any_order() -> None:
    members = {f"{number:03}.csv": noise(2000 + number) for number in range(60)}
    file = HeldFile(PACKERS["xz"](tarred(members)))
    archive = open_archive(file, Limits())
    assert archive is not None
    for index in reversed(range(60)):
        assert drained(archive.open(index).stream())[0] == members[f"{index:03}.csv"]
    assert file.bytes_read <= file.size_bytes + 1024


@packings
def test_what_is_no_archive_is_none(packing: str) -> None:
    for content in (LINES, b"x", bytes(2048), PACKERS["gzip"](tarred({"a.csv": LINES}))):
        if packing != "plain" or content[:1] != b"\x1f":
            assert open_archive(HeldFile(PACKED[packing](content)), Limits()) is None


def test_a_damaged_file_that_may_be_none_is_none() -> None:
    assert open_archive(HeldFile(PACKERS["gzip"](LINES)[:12]), Limits()) is None


def test_closing_the_archive_closes_its_file() -> None:
    for pack in PACKED.values():
        file = HeldFile(pack(tarred({"a.csv": LINES})))
        archive = open_archive(file, Limits())
        assert archive is not None
        archive.open(0).close()
        archive.close()
        assert file.is_closed


@packings
def test_the_estimate_of_a_member_that_is_cut_off_is_no_failure(packing: str) -> None:
    content = tarred({"a.csv": LINES * 40})
    archive = archive_of(PACKED[packing](content[: len(LINES) * 30]))
    with open_stored(archive.open(0), ReadOptions()) as source:
        assert source.estimate_rows() > 3000


def test_an_estimate_does_not_unpack_all_of_the_archive() -> None:
    file = HeldFile(PACKERS["gzip"](tarred({"a.csv": b"id,name\n" + noise(1 << 20).hex("\n", 20).encode() * 4})))
    archive = open_archive(file, Limits())
    assert archive is not None
    with open_stored(archive.open(0), ReadOptions()) as source:
        assert source.estimate_rows() > 0
        assert source._stream.reopened().compression == "gzip", "what samples of the whole are not taken from"
