from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from jobd.errors import OptionError
from jobd.sources import Limits
from jobd.sources.formats.text_pattern import Pattern
from tests.support.sources import cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import RecordBatch, Source

ACCESS = (
    r'^(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+)[^"]*" '
    r'(?P<status>\d{3}) (?:(?P<size>\d+)|-)(?: "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)")?$'
)


def only_batch(source: Source) -> RecordBatch:
    reader = source.reader()
    batch = reader.read(1_000_000, 1 << 30)
    assert batch is not None
    assert reader.read(1, 1) is None
    assert source.count_rows() == batch.record_count
    return batch


def rows(batch: RecordBatch) -> list[list[str | None]]:
    return [cells(batch, index) for index in range(len(batch))]


def refusals(batch: RecordBatch) -> list[tuple[int, int, str, bytes]]:
    return [(each.row_number, each.line_number, each.code, each.raw) for each in batch.refused]


def test_each_line_is_a_record_with_its_blanks_and_a_blank_line_is_an_empty_text(
    opened: Callable[..., Source],
) -> None:
    batch = only_batch(opened(b'  one \n\n"two", 2\r\n\\.\nlast', name="notes.txt"))
    assert batch.header == ("line",)
    assert rows(batch) == [["  one "], [""], ['"two", 2'], ["\\."], ["last"]]
    assert batch.lines.tolist() == [1, 2, 3, 4, 5]
    assert [batch.raw_record(index) for index in range(5)] == [b"  one ", b"", b'"two", 2', b"\\.", b"last"]


def test_control_characters_that_copy_would_stop_at_are_text(opened: Callable[..., Source]) -> None:
    lines = ["a\x1fb", "\x1e", "x\x1e\x1ey", "10%\r20%\rdone", "\x1e\x1f", "plain", "tail\r"]
    batch = only_batch(opened("\n".join(lines).encode() + b"\r\n", source_type="text"))
    assert rows(batch) == [[line] for line in lines]


def test_lines_that_are_no_text_are_refused_one_by_one(opened: Callable[..., Source]) -> None:
    content = b"a\nb\0\n\xff\n\nc\n" + b"x" * 31 + b"\nd\xc3\xa9"
    batch = only_batch(opened(content, source_type="text", limits=Limits(record_bytes=30)))
    assert rows(batch) == [["a"], [""], ["c"], ["dé"]]
    assert batch.rows.tolist() == [1, 4, 5, 7]
    assert refusals(batch) == [
        (2, 2, "nul_byte", b"b\0"),
        (3, 3, "undecodable", b"\xff"),
        (6, 6, "record_too_long", b"x" * 30),
    ]
    assert "JOBD_RECORD_BYTES_MAX" in batch.refused[2].message
    assert [batch.raw_record(index) for index in range(4)] == [b"a", b"", b"c", b"d\xc3\xa9"]


@pytest.mark.parametrize("separator", [None, "\n--\n", ";"])
def test_a_50_mb_record_is_one_error_in_bounded_memory(
    opened: Callable[..., Source], separator: str | None
) -> None:
    between = (separator or "\n").encode()
    filling = b"text\n" if separator else b"text "
    source = opened(
        between.join([b"one", filling * 10_000_000, b"three"]), source_type="text", separator=separator
    )
    del filling
    tracemalloc.start()
    batch = only_batch(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows(batch) == [["one"], ["three"]]
    (refused,) = batch.refused
    assert (refused.row_number, refused.code, len(refused.raw)) == (2, "record_too_long", 65_536)
    assert batch.lines.tolist() == (
        [1, 3] if separator is None else [1, 10_000_005 if "--" in separator else 10_000_001]
    )
    assert peak < 90e6


def test_old_line_ends_are_line_ends(opened: Callable[..., Source]) -> None:
    batch = only_batch(opened(b"one\rtwo\r\rfour", name="notes.txt"))
    assert rows(batch) == [["one"], ["two"], [""], ["four"]]
    batch = only_batch(opened(b"one\r--\rtwo\r2\r", separator="--\n"))
    assert rows(batch) == [["one"], ["two\n2"]]


# --- separators


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("separator", "text", "blocks", "lines"),
    [
        ("\n\n", "a\nb\n\nc\n\n\n\nd", ["a\nb", "c", "d"], [1, 4, 8]),
        ("\n\n", "\n\na\n", ["a"], [3]),
        ("---\n", "---\na: 1\n---\nb ---\n----\n---", ["a: 1", "b ---\n----"], [2, 4]),
        ("\n---\n", "---\na: 1\n---\n---\nb\n", ["a: 1", "b"], [2, 5]),
        ("%%", "one\ntwo\n%%\nthree\n", ["one\ntwo", "three"], [1, 4]),
        (";", "a;b\nc;; ;d", ["a", "b\nc", "d"], [1, 1, 2]),
        ("=\n=\n", "x\n=\n=\ny=\n=\nz\n=\n=\n=\n=\n", ["x", "y=\n=\nz"], [1, 4]),
        ("aa\na\n", "xaa\naa\na\ny", ["xaa", "y"], [1, 4]),
    ],
)
def test_blocks_lie_between_separators(
    opened: Callable[..., Source], *, separator: str, text: str, blocks: list[str], lines: list[int], line_end: str
) -> None:
    source = opened(text.replace("\n", line_end).encode(), separator=separator)
    batch = only_batch(source)
    assert batch.header == ("block",)
    assert rows(batch) == [[block] for block in blocks]
    assert batch.lines.tolist() == lines
    assert batch.raw_record(0).decode() == blocks[0].replace("\n", line_end)


def test_blocks_that_are_no_text_are_refused_one_by_one(opened: Callable[..., Source]) -> None:
    content = b"a\n\nb\0\n\n\n\xff\n\nc\n\n" + b"x" * 10 + b"\n" + b"y" * 21 + b"\n\nd\xc3\xa9"
    batch = only_batch(opened(content, separator="\n\n", limits=Limits(record_bytes=30)))
    assert rows(batch) == [["a"], ["c"], ["dé"]]
    assert refusals(batch) == [
        (2, 3, "nul_byte", b"b\0"),
        (3, 6, "undecodable", b"\xff"),
        (5, 10, "record_too_long", b"x" * 10 + b"\n" + b"y" * 19),
    ]


@pytest.mark.parametrize("separator", ["", "\0", "x" * 1001, "\ud800"])
def test_a_separator_that_cannot_be_one_is_refused(opened: Callable[..., Source], separator: str) -> None:
    with pytest.raises(OptionError, match=r"^separator: "):
        opened(b"a", separator=separator)


# --- patterns


def test_an_access_log_becomes_columns(opened: Callable[..., Source]) -> None:
    content = (
        b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 '
        b'"http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"\n'
        b'::1 - - [10/Oct/2000:13:55:37 -0700] "HEAD / HTTP/1.1" 304 - "" "curl/8.5"\n'
        b"\n"
        b"[Tue Oct 10 13:55:38 2000] [error] client denied\n"
        b'10.0.0.9 - - [10/Oct/2000:13:55:39 -0700] "GET /caf\xc3\xa9 HTTP/1.1" 404 196\n'
    )
    batch = only_batch(opened(content, name="access.log", pattern=ACCESS))
    assert batch.header == ("host", "user", "time", "method", "path", "status", "size", "referrer", "agent")
    first, second, third = rows(batch)
    assert first[:7] == [
        "127.0.0.1",
        "frank",
        "10/Oct/2000:13:55:36 -0700",
        "GET",
        "/apache_pb.gif",
        "200",
        "2326",
    ]
    assert first[7:] == ["http://www.example.com/start.html", "Mozilla/4.08 [en] (Win98; I ;Nav)"]
    assert second[5:] == ["304", None, "", "curl/8.5"], "what took no part is null, what matched nothing is empty"
    assert third[4:] == ["/café", "404", "196", None, None]
    assert batch.rows.tolist() == [1, 2, 4]
    assert batch.lines.tolist() == [1, 2, 5]
    assert refusals(batch) == [(3, 4, "no_match", b"[Tue Oct 10 13:55:38 2000] [error] client denied")]
    assert batch.raw_record(2).startswith(b"10.0.0.9 - - [10/Oct")


def test_a_system_log_becomes_columns(opened: Callable[..., Source]) -> None:
    content = (
        b"Mar  3 06:25:01 web-1 CRON[4711]: (root) CMD (test -x /usr/sbin/anacron)\r\n"
        b"Mar  3 06:25:02 web-1 kernel: [12.5] eth0: link up\r\n"
    )
    pattern = r"^(?<at>\w{3} +\d+ [\d:]{8}) (?<host>\S+) (?<program>[^\[:]+)(?:\[(?<pid>\d+)\])?: (?<text>.*)$"
    batch = only_batch(opened(content, name="syslog", pattern=pattern))
    assert rows(batch) == [
        ["Mar  3 06:25:01", "web-1", "CRON", "4711", "(root) CMD (test -x /usr/sbin/anacron)"],
        ["Mar  3 06:25:02", "web-1", "kernel", None, "[12.5] eth0: link up"],
    ]


def test_keys_and_values_become_columns(opened: Callable[..., Source]) -> None:
    content = b"time=2024-02-29T12:00:00Z level=info msg=\"up, and 'running'\" took=3ms\nlevel=warn msg=late\n"
    pattern = r'(?:time=(?P<time>\S+) )?level=(?P<level>\w+) msg=(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+))'
    batch = only_batch(opened(content, pattern=pattern))
    assert rows(batch) == [
        ["2024-02-29T12:00:00Z", "info", "up, and 'running'", None],
        [None, "warn", None, "late"],
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_questions_and_answers_become_columns(opened: Callable[..., Source], line_end: str) -> None:
    text = (
        "Q: What is 2 + 2?\nA: 4\n\n"
        "Q: And the\ncapital of France?\nA: Paris,\nof course\n\n\n"
        "A: nobody asked\n\n"
        "Q: Last?\nA: \n"
    )
    source = opened(
        text.replace("\n", line_end).encode(),
        name="quiz.txt",
        separator="\n\n",
        pattern=r"(?s)^Q: (?P<question>.*?)\nA: (?P<answer>.*)$",
    )
    batch = only_batch(source)
    assert batch.header == ("question", "answer")
    assert rows(batch) == [
        ["What is 2 + 2?", "4"],
        ["And the\ncapital of France?", "Paris,\nof course"],
        ["Last?", ""],
    ]
    assert batch.lines.tolist() == [1, 4, 12]
    assert refusals(batch) == [(3, 10, "no_match", b"A: nobody asked")]


def test_encodings_other_than_utf_8_are_read(opened: Callable[..., Source]) -> None:
    plain = opened("été\nà\n".encode("latin-1"), source_type="text", encoding="latin1")
    assert plain.dialect.encoding == "LATIN1"
    assert rows(only_batch(plain)) == [["été"], ["à"]]
    taken_apart = opened("é=1\n".encode("cp1252"), pattern="(?P<key>é)=(?P<value>.)", encoding="cp1252")
    assert rows(only_batch(taken_apart)) == [["é", "1"]]
    wide = opened("\ufeffa§b".encode("utf-16-le"), separator="§")
    assert rows(only_batch(wide)) == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        (r"(?P<a>x)(?P<a>y)", r"the group name 'a' is given twice"),
        (r"(?P<a>x)(?<a>y)", r"the group name 'a' is given twice"),
        (r"(\d+)", r"has no named group; write \(\?P<column>…\)"),
        (r"(?P<a>x", r"missing \)"),
        (r"(?P<a>[z-a])", r"invalid character class range: z-a at character 8"),
        (r"(?P<a>x)(?=y)", r"invalid perl operator: \(\?= at character 9; RE2 has no look-around"),
        (r"(?P<a>x)\1", r"invalid escape sequence: \\1 at character 9; RE2 has no look-around, no references"),
        (r"(?P<a>x)\Z", r"invalid escape sequence: \\Z at character 9; the end of the text is \\z"),
        (r"(?P<a b>x)", r"invalid named capture group"),
        (r"(?P<a>\p{L}{200})", r"is too complicated: \d+ steps"),
        (r"(?P<a>((x{100}){100}){100})", r"invalid repetition size"),
        ("(?P<a>\ud800)", r"character 7 is no text"),
        (
            r"(?P<a>.*)\n(?P<b>.*)",
            r"has \\n in it, but is held against each line by itself; state the option separator",
        ),
        (r"(?is)(?P<a>.*)", r"has \(\?is\) in it"),
        ("".join(f"(?P<g{index}>.)" for index in range(12)), "more named groups than JOBD_COLUMNS_MAX"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_with_what_and_where(
    opened: Callable[..., Source], pattern: str, complaint: str
) -> None:
    with pytest.raises(OptionError, match=f"^pattern: .*{complaint}"):
        opened(b"x\n", pattern=pattern, limits=Limits(columns=10))


def test_only_real_groups_and_real_line_ends_count(opened: Callable[..., Source]) -> None:
    batch = only_batch(opened(b"(?<a>x)|y\n", pattern=r"\Q(?<a>x)\E\|(?P<a>[^\n\]]+)"))
    assert rows(batch) == [["y"]]


def test_no_pattern_makes_the_reader_hang(opened: Callable[..., Source]) -> None:
    started = time.perf_counter()
    batch = only_batch(opened(b"a" * 300_000 + b"!\nb\n", pattern=r"^(?P<a>(?:a+)+)$|^(?P<b>b)$"))
    assert rows(batch) == [[None, "b"]]
    assert time.perf_counter() - started < 20


def test_a_text_too_long_for_a_complicated_pattern_is_refused(opened: Callable[..., Source]) -> None:
    pattern = r"(?P<a>(?:.?){900})!"
    limit = Pattern(pattern).text_bytes_max
    assert 100_000 < limit < 1_000_000
    batch = only_batch(opened(b"x" * (limit + 1) + b"\nab!\n", pattern=pattern))
    assert rows(batch) == [["ab"]]
    assert [(each.code, each.line_number) for each in batch.refused] == [("record_too_long", 1)]
    assert "so complicated a pattern" in batch.refused[0].message


def test_the_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415

    from jobd.sources.formats import text_pattern  # noqa: PLC0415

    text_pattern._engine.cache_clear()
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(OptionError, match=r"install jobd\[text\]") as raised:
        Pattern("(?P<a>x)")
    assert raised.value.error_code == "option_unsupported"


# --- what is text


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("a.log", b"Jan 1 up, running\nJan 1 down\nJan 2 up, again, ok\n", {}, "text"),
        ("a.log", b"[2024-01-01 10:00:00] up\n[2024-01-01 10:00:01] down\n", {}, "text"),
        ("a.txt.gz", b"Dear Sir, or Madam,\nI write to you\nbecause, well, so.\n", {}, "text"),
        ("a.txt", b"a;b;c\n1;2;3\n4;5;6\n", {}, "csv"),
        ("a.txt", b"a\tb\n1\t2", {}, "csv"),
        ("a.txt", b"name\nx\ny\n", {}, "text"),
        ("a.txt", b"name\nx\ny\n", {"delimiter": ","}, "csv"),
        ("a.txt", b"x\ny\n", {"header": False}, "csv"),
        ("a.log", b'{"a": 1}\n{"a": 2}\n', {}, "jsonl"),
        ("a.csv", b"name\nx\ny\n", {}, "csv"),
        ("a", b"name\nx\ny\n", {}, "csv"),
        ("a.csv", b"a,b\n1,2\n", {"separator": "\n"}, "text"),
        ("a.csv", b"a,b\n1,2\n", {"pattern": "(?P<a>.)"}, "text"),
        ("a.csv", b"a,b\n1,2\n", {"source_type": "text"}, "text"),
        ("a.csv", b"a,b\n1,2\n", {"source_type": "csv", "separator": "\n"}, "csv"),
    ],
)
def test_text_is_what_is_stated_or_named_so_and_no_table(
    opened: Callable[..., Source], name: str, content: bytes, options: dict[str, Any], expected: str
) -> None:
    assert opened(content, name=name, **options).detected["format"] == expected


def test_a_json_document_called_text_is_not_taken_for_lines(opened: Callable[..., Source]) -> None:
    assert opened(b'[{"a": 1},\n {"a": 2}]\n', name="a.txt").detected["format"] == "json"


def test_what_was_decided_is_kept(opened: Callable[..., Source]) -> None:
    content = b"a=1\r\rb=2\rc\r"
    source = opened(content, name="x", pattern="(?P<key>.)=(?P<value>.)", separator="\n\n")
    assert source.detected["pattern"] == "(?P<key>.)=(?P<value>.)"
    again = opened(content, name="x", detected=source.detected)
    assert rows(only_batch(again)) == rows(only_batch(source)) == [["a", "1"], ["b", "2"]]
    assert again.header == ["key", "value"]
