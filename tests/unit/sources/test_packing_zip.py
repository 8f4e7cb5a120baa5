from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile

import pytest

from jobd.errors import SourceError
from jobd.model.files import FileEntry
from jobd.sources import Limits, ReadOptions
from jobd.sources.open import open_stored
from jobd.sources.packing.archive import Archive, is_workbook, open_archive
from jobd.sources.source import sha256
from tests.support.packing import ZIP_METHODS, HeldFile, drained, noise, zipped

LINES = b"".join(b"%d,name of %d\n" % (number, number * 7919 % 1000) for number in range(3000))
methods = pytest.mark.parametrize("method", ZIP_METHODS)


def archive_of(content: bytes, limits: Limits | None = None) -> Archive:
    archive = open_archive(HeldFile(content, name="/in/a.zip"), limits or Limits())
    assert archive is not None
    return archive


def names(archive: Archive) -> list[str]:
    return [entry.name.removeprefix("/in/a.zip!/") for entry in archive.entries]


def patched(content: bytes, at: int, fields: bytes, record: int = 0) -> bytes:
    """The archive with other bytes in one of its directory's records."""
    position = content.index(b"PK\x01\x02")
    for _ in range(record):
        position = content.index(b"PK\x01\x02", position + 4)
    return content[: position + at] + fields + content[position + at + len(fields) :]


@methods
def test_members_are_listed_by_name_and_read_as_they_were(method: str) -> None:
    archive = archive_of(zipped({"b/z.csv": LINES, "a.csv": b"", "b/a.csv": noise(300_000)}, method))
    assert archive.entries == [
        FileEntry("/in/a.zip!/a.csv", 0, 1_714_979_288_000_000_000 + 2_000_000_000),
        FileEntry("/in/a.zip!/b/a.csv", 300_000, archive.entries[0].modified_ns),
        FileEntry("/in/a.zip!/b/z.csv", len(LINES), archive.entries[0].modified_ns),
    ]
    assert [drained(archive.open(index).stream(), 7001)[0] for index in range(3)] == [b"", noise(300_000), LINES]
    stream = archive.open(2).stream()
    for position in (40_000, 3, 20_000, len(LINES)):
        stream.seek(position)
        assert stream.read(100) == LINES[position : position + 100]
    assert drained(stream.reopened()) == (LINES, None)


@methods
def test_a_member_is_a_source_like_any_other(method: str) -> None:
    members = {"a.csv": b"id,name\n" + LINES, "b.csv.gz": gzip.compress(b"id,name\n" + LINES)}
    archive = archive_of(zipped(members, method))
    for index in range(2):
        source = open_stored(archive.open(index), ReadOptions())
        assert source.name == archive.entries[index].name
        assert source.detected["compression"] == (None, "gzip")[index]
        assert source.count_rows() == 3000
        assert abs(source.estimate_rows() - 3000) < 300
        batch = source.reader().read(2000, 1 << 20)
        assert batch is not None
        again = open_stored(archive.open(index), ReadOptions(), source.detected)
        rest = again.reader(batch.cursor).read(2000, 1 << 20)
        assert rest is not None
        assert batch.data + rest.data == LINES
        assert len(sha256(source._file)) == 64


@methods
def test_a_wrong_checksum_or_size_is_told_behind_the_bytes(method: str) -> None:
    content = zipped({"a.csv": LINES}, method)
    assert drained(archive_of(patched(content, 16, b"abcd")).open(0).stream()) == (LINES, "source_corrupt")
    if method != "stored":
        for size, found in ((len(LINES) + 5, LINES), (len(LINES) - 5, LINES[:-5]), (0, b"")):
            lying = patched(content, 24, struct.pack("<L", size))
            assert drained(archive_of(lying).open(0).stream()) == (found, "source_corrupt")
        packed = struct.unpack_from("<L", content, content.index(b"PK\x01\x02") + 20)[0]
        found, code = drained(archive_of(patched(content, 20, struct.pack("<L", packed - 9))).open(0).stream())
        assert code == "source_corrupt"
        assert LINES.startswith(found)


def test_going_back_keeps_the_checksum_right() -> None:
    content = noise(9 << 20)
    file = HeldFile(zipped({"a.csv": content}))
    archive = open_archive(file, Limits())
    assert archive is not None
    stream = archive.open(0).stream()
    assert drained(stream) == (content, None)
    file.reads.clear()
    stream.seek(5 << 20)
    assert drained(stream) == (content[5 << 20 :], None)
    assert file.bytes_read < 6 << 20


@methods
def test_a_byte_altered_anywhere_is_told_or_does_not_matter(method: str) -> None:
    content = zipped({"a.csv": LINES[:900]}, method)
    for at in range(4, len(content)):
        broken = bytearray(content)
        broken[at] ^= 0x15
        try:
            archive = open_archive(HeldFile(bytes(broken), name="/in/a.zip"), Limits())
            if archive is not None and archive.entries and not archive.refused:
                found, code = drained(archive.open(0).stream())
                assert code or found == LINES[:900]
        except SourceError as error:
            code = error.error_code
            assert code in {"source_corrupt", "source_truncated", "source_too_large"}, (at, error)  # noqa: PT017


def test_an_archive_cut_anywhere_has_no_directory() -> None:
    content = zipped({"a.csv": LINES, "b.csv": LINES})
    for cut in (*range(5, len(content), 211), *range(len(content) - 100, len(content))):
        with pytest.raises(SourceError) as refusal:
            open_archive(HeldFile(content[:cut]), Limits())
        assert refusal.value.error_code == "source_truncated"


def test_sizes_of_64_bits_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", LINES)
        archive.writestr("b.csv", LINES[:50])
    assert b"PK\x06\x06" in target.getvalue()
    content = bytearray(target.getvalue())
    opened = archive_of(bytes(content))
    assert [drained(opened.open(index).stream())[0] for index in range(2)] == [LINES, LINES[:50]]


def test_sizes_may_stand_behind_the_members() -> None:
    class Pipe(io.RawIOBase):
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: object) -> int:
            self.written += bytes(piece)  # type: ignore[call-overload]
            return len(bytes(piece))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", LINES)
        archive.writestr("b.csv", LINES)
    assert b"PK\x07\x08" in pipe.written
    assert drained(archive_of(pipe.written).open(1).stream()) == (LINES, None)


def test_what_stands_before_an_archive_and_its_comment_do_not_matter() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.csv", LINES)
        archive.comment = b"PK\x05\x06" + b"c" * 60_000
    assert drained(archive_of(target.getvalue()).open(0).stream()) == (LINES, None)
    shifted = zipped({"x.csv": b"1"}) + target.getvalue()
    assert names(archive_of(shifted)) == ["a.csv"]
    assert drained(archive_of(shifted).open(0).stream()) == (LINES, None)


@pytest.mark.parametrize(
    ("written", "name"),
    [(b"caf\x82.csv", "café.csv"), ("café.csv".encode(), "café.csv"), (b"d\\a.csv", "d/a.csv")],
)
def test_names_are_utf_8_or_cp437(written: bytes, name: str) -> None:
    content = zipped({"?" * len(written): LINES}).replace(b"?" * len(written), written)
    assert names(archive_of(patched(content, 5, b"\0"))) == [name]


def test_flagged_names_are_utf_8() -> None:
    assert names(archive_of(zipped({"日本/é.csv": LINES}))) == ["日本/é.csv"]


def test_directories_hidden_files_and_what_macos_adds_are_left_out() -> None:
    members = {"d/": b"", "__MACOSX/._a.csv": b"x", "d/.DS_Store": b"x", ".git/a": b"x", "./d//a.csv": b"x"}
    archive = archive_of(zipped(members))
    assert names(archive) == ["d/a.csv"]
    assert archive.refused == []


def test_members_of_one_name_are_numbered() -> None:
    content = zipped({"a": b"1", "b": b"2", "?": b"3", "a (2)": b"4", "!": b"5"})
    opened = archive_of(content.replace(b"?", b"a").replace(b"!", b"a"))
    assert names(opened) == ["a", "a (3)", "a (4)", "a (2)", "b"]
    assert [drained(opened.open(index).stream())[0] for index in range(5)] == [b"1", b"3", b"5", b"4", b"2"]


def test_names_that_lead_elsewhere_are_refused() -> None:
    bad = ["../a.csv", "a/../../b", "/etc/passwd", "C:/a.csv", "\\\\host\\a", "..\\a", "a#b", "x" * 5000]
    content = zipped({"good.csv": LINES, **dict.fromkeys(bad, b"x")}).replace(b"a#b", b"a\0b")
    archive = archive_of(content)
    assert names(archive) == ["good.csv"]
    assert len(archive.refused) == len(bad)
    assert all(name.startswith("/in/a.zip!/") and reason and "\0" not in name for name, reason in archive.refused)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "named pipe"), (stat.S_IFCHR, "character device")],
)
def test_what_is_no_regular_file_is_refused(kind: int, words: str) -> None:
    content = patched(zipped({"a": b"/etc/passwd", "b.csv": LINES}), 38, struct.pack("<L", (kind | 0o777) << 16))
    archive = archive_of(content)
    assert names(archive) == ["b.csv"]
    assert words in dict(archive.refused)["/in/a.zip!/a"]


@pytest.mark.parametrize(
    ("at", "field", "words"), [(8, 1, "encrypted"), (10, 9, "deflate64"), (10, 77, "method 77"), (10, 99, "AES")]
)
def test_what_cannot_be_unpacked_is_refused(at: int, field: int, words: str) -> None:
    archive = archive_of(patched(zipped({"a.csv": LINES, "b.csv": LINES}), at, struct.pack("<H", field)))
    assert names(archive) == ["b.csv"]
    assert words in archive.refused[0][1]


def test_members_that_share_bytes_are_refused() -> None:
    content = zipped({"a.csv": LINES, "b.csv": LINES})
    for position in (0, 500):
        with pytest.raises(SourceError, match="over another member") as refusal:
            archive_of(patched(content, 42, struct.pack("<L", position), record=1))
        assert refusal.value.error_code == "source_corrupt"
    with pytest.raises(SourceError, match="beyond its end"):
        archive_of(patched(content, 20, struct.pack("<L", 1 << 20), record=1))


def test_the_number_of_members_is_bounded() -> None:
    content = zipped({f"{number}.csv": b"x" for number in range(11)})
    assert len(archive_of(content, Limits(files=11)).entries) == 11
    with pytest.raises(SourceError, match="JOBD_FILES_MAX") as refusal:
        archive_of(content, Limits(files=10))
    assert refusal.value.error_code == "source_too_large"


def test_what_expands_too_much_is_refused_before_and_while_it_is_read() -> None:
    content = zipped({"a.csv": bytes(70 << 20)})
    with pytest.raises(SourceError, match="JOBD_EXPANSION_RATIO_MAX"):
        archive_of(content, Limits(expansion_ratio=500))
    lying = archive_of(patched(content, 24, struct.pack("<L", 60 << 20)), Limits(expansion_ratio=500))
    stream = lying.open(0).stream()
    stream.seek(60 << 20)
    with pytest.raises(SourceError) as refusal:
        stream.read(1)
    assert refusal.value.error_code == "source_corrupt"
    bounded = archive_of(content, Limits(expanded_bytes=1000, expansion_ratio=10_000)).open(0).stream()
    assert drained(bounded) == (bytes(1000), "source_too_large")


def test_a_large_dictionary_is_refused() -> None:
    content = zipped({"a.csv": LINES}, "lzma")
    at = content.index(b"a.csv") + 5 + 5
    with pytest.raises(SourceError, match="128 MiB"):
        archive_of(content[:at] + struct.pack("<L", 1 << 31) + content[at + 4 :]).open(0).stream().read(1)


def test_each_local_header_is_read_once() -> None:
    file = HeldFile(zipped({f"{number:04}.csv": b"%d,x\n" % number for number in range(1000)}))
    archive = open_archive(file, Limits())
    assert archive is not None
    file.reads.clear()
    for index in range(1000):
        member = archive.open(index)
        assert member.stream().read(100) == member.stream().read(100) == b"%d,x\n" % index
    headers = [position for position, size in file.reads if size == 30]
    assert len(headers) == len(set(headers)) == 1000


@pytest.mark.parametrize(
    ("members", "is_excel"),
    [
        (["[Content_Types].xml", "xl/workbook.xml"], True),
        (["[Content_Types].xml", "word/document.xml"], False),
        (["mimetype", "META-INF/manifest.xml", "content.xml"], False),
    ],
)
def test_an_office_document_is_no_archive(members: list[str], is_excel: bool) -> None:
    file = HeldFile(zipped(dict.fromkeys(members, b"<x/>")))
    assert open_archive(file, Limits()) is None
    assert is_workbook(file) is is_excel


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04rest", LINES, zipped({"a.csv": LINES})])
def test_other_files_are_no_workbook(content: bytes) -> None:
    assert not is_workbook(HeldFile(content))


def test_closing_the_archive_closes_its_file() -> None:
    file = HeldFile(zipped({"a.csv": LINES}))
    archive = open_archive(file, Limits())
    assert archive is not None
    archive.open(0).close()
    assert not file.is_closed
    archive.close()
    assert file.is_closed


def test_an_empty_archive_has_no_entries() -> None:
    assert names(archive_of(zipped({}))) == []


def test_an_archive_in_an_archive_is_told_as_one() -> None:
    archive = archive_of(zipped({"in.zip": zipped({"a.csv": LINES})}))
    with pytest.raises(SourceError, match="within an archive") as refusal:
        open_stored(archive.open(0), ReadOptions())
    assert refusal.value.error_code == "format_undetectable"
