"""Files with bad records of every kind, in every format, and what they must be mended to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.workbooks import xlsx

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Loop:
    """A file with bad records, what they are to be mended to, and the file as it should have been.

    ``reading`` says how the file is written, ``values`` how its values are meant.
    """

    name: str
    bad: bytes
    right: bytes
    mends: Mapping[int, dict[str, str]]
    reading: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)


def _text(*lines: str, encoding: str = "utf-8", end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode(encoding)


def _json(*records: dict[str, Any] | str) -> list[str]:
    return [record if isinstance(record, str) else json.dumps(record) for record in records]


WORKBOOK: list[list[Any]] = [
    ["id", "name", "amount", "day", "is_new", "note"],
    [1, "Ada", 1.5, "2024-02-29", True, "fine"],
    [2, "=1+1", "two", "2024-02-29", False, None],
    [3, None, 3, "someday", True, ""],
    [4, "NA", 4.25, None, False, "bad"],
]
RIGHT_WORKBOOK: list[list[Any]] = [
    *WORKBOOK[:2],
    [2, "=1+1", 2, "2024-02-29", False, None],
    [3, None, 3, "2024-03-01", True, ""],
    [4, "NA", 4.25, None, False, "good"],
]
RECORDS = (
    {"id": 1, "name": "Ada", "amount": 1.5, "tags": ["a", "b,c"], "more": {"x": [1, None]}, "is_new": True},
    {"id": 2, "name": "", "amount": "two", "tags": ["a"], "more": "a string", "is_new": False},
    {"id": 3, "name": None, "amount": 3.25, "day": "someday", "more": 'say "x",\n', "is_new": True},
    {"id": 4, "name": "NA", "amount": None, "tags": [], "more": 7, "note": " "},
    {"id": 5, "name": "  ", "amount": 5.5, "tags": None, "more": "NA", "note": "bad", "is_new": True},
)
RIGHT_RECORDS = (
    RECORDS[0],
    {**RECORDS[1], "amount": 2},
    {**RECORDS[2], "day": "2024-03-01"},
    {**RECORDS[3], "amount": 4},
    {**RECORDS[4], "note": "good"},
)
JSON_MENDS = {2: {"amount": "2"}, 3: {"day": "2024-03-01"}, 4: {"amount": "4"}, 5: {"note": "good"}}

LOOPS = [
    Loop(
        "plain.csv",
        _text("id,name,amount,note", "1,Ada,1.5,fine", "2,,two,", '3,"",,"a, b"', "4,=1+1,4,bad", "x,-1,5,@x"),
        _text("id,name,amount,note", "1,Ada,1.5,fine", "2,,2,", '3,"",3,"a, b"', "4,=1+1,4,good", "5,-1,5,@x"),
        {2: {"amount": "2"}, 3: {"amount": "3"}, 4: {"note": "good"}, 5: {"id": "5"}},
    ),
    Loop(
        "every kind that cannot be cut.csv",
        b'id,name,amount\n1,Ada,1\n2,x\n3,x,3,more\n4,a\0b,4\n6,caf\xff,6\n7,a"b\nc"d,7\n5,"x,5\n',
        _text(
            "id,name,amount", "1,Ada,1", "2,x,2", "3,x,3", "4,ab,4", "6,café,6", '7,"a""b', 'c""d",7', '5,"x",5'
        ),
        {
            2: {"amount": "2"},
            3: {"_jobd_record": ""},
            4: {"name": "ab"},
            5: {"name": "café"},
            6: {"id": "7", "name": '"a""b\nc""d"', "amount": "7"},
            7: {"id": "7", "name": '"a""b\nc""d"', "amount": "7"},
            8: {"id": "5", "name": "x", "amount": "5"},
        },
    ),
    Loop(
        "of another country.csv",
        _text(
            "# a report",
            "Id;Name;Betrag;Tag",
            "1;Köln;1,5;29.02.2024",
            "2;NA;zwei;n/a",
            '3;"NA";3,25;neulich',
            "#;a comment",
            "4;Fürth;;",
            '5;"a;b";5;1.3.2024;zu viel',
            encoding="cp1252",
            end="\r\n",
        ),
        _text(
            "# a report",
            "Id;Name;Betrag;Tag",
            "1;Köln;1,5;29.02.2024",
            "2;NA;2;n/a",
            '3;"NA";3,25;1.3.2024',
            "#;a comment",
            "4;Fürth;4;",
            '5;"a;b";5;1.3.2024',
            encoding="cp1252",
            end="\r\n",
        ),
        {2: {"Betrag": "2"}, 3: {"Tag": "1.3.2024"}, 4: {"Betrag": "4"}, 5: {"_jobd_record": ""}},
        reading={"delimiter": ";", "encoding": "cp1252", "comment": "#", "skip_rows": 1, "quote": '"'},
        values={
            "columns": {"Id": "id", "Betrag": "amount", "Tag": "day"},
            "decimal": ",",
            "date_format": "DD.MM.YYYY",
            "null_values": {"Name": ["NA"], "Tag": ["n/a", ""], "Betrag": [""]},
        },
        columns={"source_type": "csv"},
    ),
    Loop(
        "without header.csv",
        _text("1|'it''s'|1.5|2024-02-29", "2|a,b|two|", "3|'|'|3|yesterday-ish"),
        _text("1|'it''s'|1.5|2024-02-29", "2|a,b|2|", "3|'|'|3|2024-03-01"),
        {2: {"amount": "2"}, 3: {"day": "2024-03-01"}},
        reading={"delimiter": "|", "quote": "'", "header": False},
    ),
    Loop(
        "several header rows.tsv",
        _text("key\ttext\tnumber", "id\tname\tamount", '1\tsay \\"x\\"\t1', '2\t"say \\"x\\", y"\ttwo'),
        _text("key\ttext\tnumber", "id\tname\tamount", '1\tsay \\"x\\"\t1', '2\t"say \\"x\\", y"\t2'),
        {2: {"amount": "2"}},
        reading={"delimiter": "\t", "escape": "\\", "header": 2},
    ),
    Loop(
        "words that need quotes.csv",
        _text("id;name;amount;note", "1;n,a;1;-", "2;n,a;two;,", '3;"n,a";"a;b";"a;b"', '4;5" x 6";two;"-"'),
        _text("id;name;amount;note", "1;n,a;1;-", "2;n,a;2;,", '3;"n,a ";3;"a;b"', '4;5" x 6";4;"-"'),
        {2: {"amount": "2"}, 3: {"amount": "3", "name": '"n,a "'}, 4: {"amount": "4"}},
        reading={"delimiter": ";", "quote": '"'},
        values={"null_values": {"name": ["n,a", '5" x 6"'], "note": [",", "-", "a;b"]}},
    ),
    Loop(
        "words that need quotes.jsonl",
        _text(
            *_json(
                {"id": 1, "name": "n,a", "amount": 1, "note": "\n"},
                {"id": 2, "name": "n,a", "amount": "two", "note": "\n"},
                {"id": 3, "name": '5"', "amount": "three", "note": "-"},
                {"id": 4, "name": None, "amount": "four", "note": None},
            )
        ),
        _text(
            *_json(
                {"id": 1, "name": "n,a", "amount": 1, "note": "\n"},
                {"id": 2, "name": "n,a", "amount": 2, "note": "\n"},
                {"id": 3, "name": '5"', "amount": 3, "note": "-"},
                {"id": 4, "name": None, "amount": 4, "note": None},
            )
        ),
        {2: {"amount": "2"}, 3: {"amount": "3"}, 4: {"amount": "4"}},
        values={"null_values": {"name": ["n,a", '5"'], "note": ["\n", "-"]}},
    ),
    Loop(
        "of windows.csv",
        "id,name,amount\r\n1,Ada,1\r\n2,\N{SNOWMAN},two\r\n".encode("utf-16"),
        "id,name,amount\r\n1,Ada,1\r\n2,\N{SNOWMAN},2\r\n".encode("utf-16"),
        {2: {"amount": "2"}},
        reading={"encoding": "utf-16"},
    ),
    Loop(
        "padded.csv",
        _text("id,name,amount,note", "1,Ada,1", "2,x,two", "3,y,three,good,surplus"),
        _text("id,name,amount,note", "1,Ada,1", "2,x,2", "3,y,3,good,surplus"),
        {2: {"amount": "2"}, 3: {"amount": "3"}},
        reading={"ragged": "truncate"},
    ),
    Loop(
        "lines.jsonl",
        _text(
            *_json(
                *RECORDS,
                '{"id": 6, "name"',
                "[8]",
                r'{"id": 9, "amount": 9, "name": "a\u0000b"}',
            )
        ),
        _text(
            *_json(
                *RIGHT_RECORDS,
                {"id": 6, "amount": 6},
                {"id": 8, "amount": 8},
                {"id": 9, "amount": 9, "name": "ab"},
            )
        ),
        {
            **JSON_MENDS,
            6: {"id": "6", "amount": "6", "_jobd_record": ""},
            7: {"id": "8", "amount": "8", "_jobd_record": ""},
            8: {"id": "9", "name": "ab", "amount": "9", "_jobd_record": ""},
        },
        values={"null_values": ["NA"]},
        columns={"source_type": "jsonl"},
    ),
    Loop(
        "document.json",
        json.dumps({"answer": {"rows": RECORDS}}, indent=1).encode(),
        json.dumps({"answer": {"rows": RIGHT_RECORDS}}, indent=1).encode(),
        JSON_MENDS,
        reading={"records_path": "answer.rows"},
        columns={"source_type": "json"},
    ),
    Loop(
        "numbers and words of a country.jsonl",
        _text(
            *_json(
                {"id": 1, "amount": 1.5, "is_new": True},
                {"id": 2, "amount": 1.5, "is_new": "vielleicht"},
                {"id": 3, "amount": "x", "is_new": False},
                {"id": 4, "amount": "1.234,5", "day": "neulich"},
            )
        ),
        _text(
            *_json(
                {"id": 1, "amount": 1.5, "is_new": True},
                {"id": 2, "amount": 1.5, "is_new": "ja"},
                {"id": 3, "amount": "3,5", "is_new": False},
                {"id": 4, "amount": "1.234,5", "day": None},
            )
        ),
        {2: {"is_new": "ja"}, 3: {"amount": '"3,5"'}, 4: {"day": ""}},
        values={"decimal": ",", "thousands": ".", "true_values": ["ja"], "false_values": ["nein"]},
    ),
    Loop(
        "log.txt",
        _text("1 INFO it's 'quoted', \"twice\" = 1.5", "2 WARN  = two", "what is this", "3 INFO x = 3"),
        _text("1 INFO it's 'quoted', \"twice\" = 1.5", "2 WARN  = 2", "4 INFO  = 4", "3 INFO x = 3"),
        {2: {"amount": "2"}, 3: {"id": "4", "name": '""', "amount": "4"}},
        reading={"pattern": r"^(?P<id>\d+) \w+ (?P<name>.*) = (?P<amount>\w.*)$"},
        columns={"source_type": "text"},
    ),
    Loop(
        "numbers and words of a country.txt",
        _text("1 1.234,5 ja", "2 1.5 nein", "3 3,5 true", "4 4,5 nein"),
        _text("1 1.234,5 ja", "2 1,5 nein", "3 3,5 ja", "4 4,5 nein"),
        {2: {"amount": '"1,5"'}, 3: {"is_new": "ja"}},
        reading={"pattern": r"^(?P<id>\d+) (?P<amount>\S+) (?P<is_new>\w+)$"},
        values={"decimal": ",", "thousands": ".", "true_values": ["ja"], "false_values": ["nein"]},
        columns={"source_type": "text"},
    ),
    Loop(
        "blocks.txt",
        _text("1", "Ada", "1.5", "---", "2", "Bob, B.", "two", "---", "3", "Cid", "3"),
        _text("1", "Ada", "1.5", "---", "2", "Bob, B.", "2", "---", "3", "Cid", "3"),
        {2: {"amount": "2"}},
        reading={"separator": "---\n", "pattern": r"^(?P<id>\d+)\n(?P<name>.*)\n(?P<amount>.*)"},
    ),
    Loop(
        "sheet.xlsx",
        xlsx({"sheet": WORKBOOK}),
        xlsx({"sheet": RIGHT_WORKBOOK}),
        {2: {"amount": "2"}, 3: {"day": "2024-03-01"}, 4: {"note": "good"}},
        columns={"source_type": "xlsx"},
    ),
    Loop(
        "sheet with a title.xlsx",
        xlsx({"sheet": [["A title"], ["x"] * 6, *WORKBOOK]}),
        xlsx({"sheet": [["A title"], ["x"] * 6, *RIGHT_WORKBOOK]}),
        {2: {"amount": "2"}, 3: {"day": "2024-03-01"}, 4: {"note": "good"}},
        reading={"skip_rows": 1, "header": 2},
        values={"null_values": ["NA", ""]},
    ),
]
