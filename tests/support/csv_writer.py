"""Write tables as CSV in any dialect, to see whether they come back the same."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

Table = list[list[str | None]]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """``escape`` is None for doubled quotes; ``quote`` may be empty; ``before`` are lines before the header."""

    delimiter: str
    quote: str
    escape: str | None
    line_end: str
    encoding: str
    has_mark: bool
    comment: str | None
    before: tuple[str, ...]
    header_rows: int
    blank_lines: int
    is_closed: bool
    quotes_all: bool

    @property
    def newline(self) -> str:
        return self.line_end[-1]

    def field(self, value: str | None, *, is_first: bool) -> str:
        if value is None or (value == "" and not self.quote):
            return ""
        special = {self.delimiter, "\r", "\n", *self.quote, *(self.escape or "")}
        if not self.quote:
            return "".join(self.escape + c if self.escape and c in special else c for c in value)
        begins = value.lstrip(" \t")[:1]
        if (
            not self.quotes_all
            and value
            and not special & set(value)
            and begins != self.quote
            and not (is_first and self.comment and value.startswith(self.comment))
        ):
            return value
        escape = self.escape or self.quote
        escaped = "".join(escape + c if c in {self.quote, self.escape} else c for c in value)
        return self.quote + escaped + self.quote

    def record(self, row: list[str | None]) -> str:
        return self.delimiter.join(self.field(value, is_first=index == 0) for index, value in enumerate(row))

    def bytes_of(self, text: str) -> bytes:
        return (("\ufeff" if self.has_mark else "") + text).encode(self.encoding)


def is_writable(value: str | None, dialect: Dialect) -> bool:
    """Whether the dialect has a way to write the value."""
    if value is None:
        return True
    try:
        value.encode(dialect.encoding)
    except UnicodeEncodeError:
        return False
    if dialect.quote:
        return True
    if dialect.comment and dialect.comment in value:
        return False  # at the beginning of a line, be its line end escaped or not, it makes a comment
    return dialect.escape is not None or not {dialect.delimiter, "\r", "\n"} & set(value)


MARKED = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    encoding = draw(st.sampled_from([*MARKED, "utf-8", "cp1252", "iso8859-15"]))
    quote = draw(st.sampled_from(['"', '"', "'", ""]))
    return Dialect(
        delimiter=draw(st.sampled_from(list(",;\t|:^~\x01\x1f @"))),
        quote=quote,
        escape=draw(st.sampled_from([None, "\\", "!"])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        encoding=encoding,
        has_mark=encoding in MARKED and (encoding != "utf-8" or draw(st.booleans())),
        comment=draw(st.sampled_from([None, "#"])),
        before=tuple(draw(st.lists(st.sampled_from(["Title", "", 'a "note', "x,y;z", "# \\"]), max_size=3))),
        header_rows=draw(st.integers(0, 3)),
        blank_lines=draw(st.integers(0, 2)),
        is_closed=draw(st.booleans()),
        quotes_all=draw(st.booleans()),
    )
