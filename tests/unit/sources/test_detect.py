from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from jobd.errors import OptionError, SourceChanged, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import Source


def texts(source: Source) -> list[list[str]]:
    batch = source.reader().read(1000, 1 << 20)
    return [] if batch is None else [[value.text for value in batch.fields(index)] for index in range(len(batch))]


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_the_one_that_divides_all_records_alike(
    opened: Callable[..., Source], delimiter: str
) -> None:
    text = 'id,name;x,note\n1,"a, b; c|d\te",1.5\n2,b,"x\ny"\n'.replace(",", "\0")
    text = text.replace(";", "" if delimiter != "," else ";").replace("\0", delimiter)
    source = opened(text.encode(), name="file.txt")
    assert source.dialect.delimiter == delimiter
    assert source.column_count == 3


@pytest.mark.parametrize(
    ("content", "header", "delimiter"),
    [
        (b"price;name\n1,5;a\n2,5;b\n3,25;c\n", ["price", "name"], ";"),
        (b"note\nHello, world\nplain\nonce; more\n", ["note"], None),
        (b"a,b\n1\n2\n3,4\n", ["a", "b"], ","),
        (b"a\n", ["a"], None),
        (b"\n\na,b\n1,2\n", ["a", "b"], ","),
        (b"a\tb\n1,2\t3,4\n", ["a", "b"], "\t"),
    ],
)
def test_doubtful_delimiters(
    opened: Callable[..., Source], content: bytes, header: list[str], delimiter: str | None
) -> None:
    source = opened(content)
    assert source.header == header
    assert delimiter in {None, source.dialect.delimiter}


def test_what_is_stated_wins(opened: Callable[..., Source]) -> None:
    source = opened(b"a,b;c\n1,2;3\n", delimiter=";", quote="'", escape="\\", encoding="latin1")
    assert source.header == ["a,b", "c"]
    assert (source.dialect.quote, source.dialect.escape, source.dialect.encoding) == ("'", "\\", "LATIN1")


def test_quotes_and_escapes_other_than_the_usual(opened: Callable[..., Source]) -> None:
    source = opened(b"a,b\n'x, y',1\n'z',2\n")
    assert source.dialect.quote == "'"
    assert texts(source) == [["x, y", "1"], ["z", "2"]]
    source = opened(rb"a,b" + b"\n" + rb'"say \"hi\" now",1' + b"\n")
    assert source.dialect.escape == "\\"
    assert texts(source) == [['say "hi" now', "1"]]
    assert opened(rb"a,b" + b"\n" + rb'"C:\dir\",1' + b"\n").dialect.escape == '"'


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end(opened: Callable[..., Source], line_end: bytes) -> None:
    content = line_end.join([b'"a\nx",b', b"1,2", b'"x\r\ny",', b"", b"3,4"])
    for end in (b"", line_end):
        source = opened(content + end)
        assert source.header == ["a\nx", "b"]
        assert texts(source) == [["1", "2"], ["x\r\ny", ""], ["3", "4"]]
        assert source.count_rows() == 3


def test_line_ends_may_be_mixed(opened: Callable[..., Source]) -> None:
    for first in (b"\n", b"\r\n"):
        source = opened(b"a,b" + first + b"1,2\r\n3,4\n5,6\r\n7,8")
        assert texts(source) == [["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"]]
        batch = source.reader().read(10, 1 << 20)
        assert batch is not None
        assert batch.data == first.join([b"1,2", b"3,4", b"5,6", b"7,8", b""])
        assert batch.field_ends[:, 1].tolist() == [
            (index + 1) * (3 + len(first)) - len(first) for index in range(4)
        ]


def test_a_byte_order_mark_is_no_part_of_the_header(opened: Callable[..., Source]) -> None:
    for packed in (lambda data: data, gzip.compress):
        source = opened(packed(b"\xef\xbb\xbfid,name\n1,\xc3\xa9\n"))
        assert source.header == ["id", "name"]
        assert texts(source) == [["1", "é"]]
    assert opened(b'\xef\xbb\xbf{"id": 1}\n').header == ["id"]


@pytest.mark.parametrize(
    ("encoding", "postgres"), [("latin1", "LATIN1"), ("WIN1252", "WIN1252"), ("koi8-r", "KOI8R")]
)
def test_a_stated_single_byte_encoding_leaves_the_bytes_alone(
    opened: Callable[..., Source], encoding: str, postgres: str
) -> None:
    source = opened(b"id,name\n1,\xe9\xc4\n", encoding=encoding)
    batch = source.reader().read(10, 1 << 20)
    assert batch is not None
    assert batch.data == b"1,\xe9\xc4\n"
    assert batch.dialect.encoding == postgres


def test_bytes_outside_of_a_single_byte_encoding_are_refused(opened: Callable[..., Source]) -> None:
    batch = opened(b"id,name\n1,\x81\n2,\x80\n", encoding="cp1252").reader().read(10, 1 << 20)
    assert batch is not None
    assert [each.code for each in batch.refused] == ["undecodable"]
    assert batch.fields(0)[1].text == "€"


def test_east_asian_encodings_are_transcoded(opened: Callable[..., Source]) -> None:
    content = "id|name\n1|ソ表\n".encode("shift_jis")  # both characters contain the byte of a backslash
    source = opened(content, encoding="shift_jis", delimiter="|")
    assert source.dialect.encoding == "UTF8"
    assert texts(source) == [["1", "ソ表"]]


def test_json_lines_in_latin_1(opened: Callable[..., Source]) -> None:
    assert texts(opened('{"n": "é"}\n'.encode("latin1"), name="a.jsonl", encoding="latin1")) == [["é"]]


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b'{"a": 1}\n{"a": 2}\n', "x", "jsonl"),
        (b'{"a": 1}', "x.csv", "json"),
        (b"nonsense\n" + b'{"a": 1}\n', "x.jsonl", "jsonl"),
        (b'{broken\n{"a": 1}\n', "x.ndjson.gz", "jsonl"),
        (b"{a},b\n1,2\n", "x.csv", "csv"),
        (b"[true name],[b]\n1,2\n", "x.csv", "csv"),
        (b"[name],[b]\n1,2\n", "x.txt", "csv"),
        (b'[\n{"a": 1}\n]\n', "x", "json"),
        (b'\n [{"a": 1}]', "x.jsonl", "json"),
        (b'{\n"a": 1\n}\n{\n"a": 1\n}\n', "x.json", "json"),
        (b'{"a": 1}\n{"a": 2}\n', "x.json", "jsonl"),
        (b'{"a": 1}\n', "x.jsonl", "jsonl"),
        (b"a,b\n", "x.unknown", "csv"),
    ],
)
def test_the_format_is_known_by_content_then_name(
    opened: Callable[..., Source], content: bytes, name: str, kind: str
) -> None:
    assert opened(content, name=name).detected["format"] == kind


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "zip"),
        (b"PAR1rest", "Parquet"),
        (gzip.compress(b"\x28\xb5\x2f\xfdrest", mtime=0), "zstd twice"),
        (b"\0\1\2\3\0\0\0\5" * 10, "NUL"),
        (b"\n \n\t\n", "blank"),
        (b"\xef\xbb\xbf", "byte order mark"),
        (b"[1, 2]", "none of the first records"),
        (b'{"type": "FeatureCollection", "features": []}', 'records_path "features"'),
        (b"n\xff\xfeme,b\n1,2\n", "encoding"),
        (b'"a,b\n1,2\n', "header"),
    ],
)
def test_what_cannot_be_told_fails_and_says_why(opened: Callable[..., Source], content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as refusal:
        opened(content, name="file.dat")
    assert refusal.value.error_code == "format_undetectable"


def test_a_gzip_of_nothing_is_empty(opened: Callable[..., Source]) -> None:
    with pytest.raises(SourceError) as refusal:
        opened(gzip.compress(b""))
    assert refusal.value.error_code == "source_empty"


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"quote": "é"},
        {"escape": ","},
        {"delimiter": "\n"},
        {"encoding": "klingon"},
        {"encoding": "base64"},
        {"header": -1},
    ],
)
def test_impossible_options_are_refused(opened: Callable[..., Source], options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        opened(b"a,b\n1,2\n", **options)


def test_headers_of_several_rows_and_of_none(opened: Callable[..., Source]) -> None:
    content = b'"Title\nof all",\n\nunit,x\nid,name\n1,a\n'
    source = opened(content, header=3, delimiter=",")
    assert source.header == ["id", "name"]
    batch = source.reader().read(10, 1 << 20)
    assert batch is not None
    assert (batch.rows.tolist(), batch.lines.tolist()) == ([1], [6])
    source = opened(b"1,a\n2,b\n", header=False)
    assert (source.header, source.column_count) == ([], 2)
    assert texts(source) == [["1", "a"], ["2", "b"]]


def test_an_encoding_that_needs_a_mark_is_refused_without_one(opened: Callable[..., Source]) -> None:
    for codec in ("utf-16", "utf-32", "UTF16"):
        assert opened("\ufeffa,b\n1,2\n".encode("utf-16-be"), encoding=codec).header == ["a", "b"]
        with pytest.raises(SourceError, match=r"no byte order mark.* say utf-(16|32)-le or") as caught:
            opened("a,b\n1,2\n".encode("utf-16-le"), encoding=codec)
        assert caught.value.error_code == "format_undetectable"


def test_a_file_with_only_a_header_has_no_records(opened: Callable[..., Source]) -> None:
    for content in (b"id,name", b"id,name\n", b"id,name\r\n\r\n"):
        source = opened(content)
        assert source.header == ["id", "name"]
        assert source.reader().read(10, 1 << 20) is None
        assert source.count_rows() == 0
        assert source.estimate_rows() == 0


def test_what_was_detected_is_frozen(opened: Callable[..., Source]) -> None:
    for content, more in (
        (b"a;b\n1;2\n", b"3;4\n"),
        (b'{"a":1}\n', b'{"a":2}\n'),
        ("\ufeffa,b\n1,2\n".encode("utf-16"), b""),
    ):
        before = opened(content)
        again = opened(content + more, detected=before.detected)
        assert again.detected == before.detected
        assert (again.header, again.dialect) == (before.header, before.dialect)
    with pytest.raises(SourceChanged, match="beginning"):
        opened(b"a;c\n1;2\n", detected=opened(b"a;b\n1;2\n").detected)
    with pytest.raises(SourceChanged, match="beginning"):
        opened(gzip.compress(b"a;b\n1;2\n"), detected=opened(b"a;b\n1;2\n").detected)
