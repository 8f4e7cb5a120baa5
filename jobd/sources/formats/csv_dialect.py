"""How CSV is written: the delimiter, quote, escape and line end with which its first records make most sense."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.errors import OptionError
from jobd.sources.formats.csv_cutter import CR, LF, CsvShape, Cut, begins_field, cut, ends_field, sections
from jobd.sources.formats.csv_extent import extents, is_record
from jobd.sources.formats.csv_mask import masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources.options import ReadOptions

STRONG = b",;\t|\x01\x1f"
_WEAK = b":^~"  # in text, too
_UNLIKELY = b"\x1f\x01~^|\t;,"  # of files with one column: what divides nothing, the least likely first
_BORDER = re.escape(STRONG + _WEAK)
_SAMPLE_RECORDS = 200
_JUDGED_RECORDS = 20
_JUDGED_BYTES = 1 << 16
_SHARE_MIN = 0.1
_DOUBLED, _ESCAPED, _ESCAPED_UNQUOTED = range(3)
_BACKSLASH = ord("\\")
# A field without another delimiter in it, except where numbers, times, addresses and sentences have one.
_CLEAN = re.compile(
    rb"[ \t]*(?:[\"'].*|[-+]?[\d.,' ]+%?|[\d:T./ +-]+Z?|\w+://[^,;\t|]*|(?:[^" + _BORDER + rb"]|[,:;] )*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well a shape explains a text: ``share`` of its records have as many fields as the first one."""

    shape: CsvShape
    text: bytes
    cut: Cut
    counts: list[int]
    at: list[int]  # of each record: its index in the cut
    share: float
    variant: int
    is_covered: bool  # the text does not break off in the middle of it

    @property
    def columns(self) -> int:
        """Fields of the first record; 0 where there is none."""
        return self.counts[0] if self.counts else 0

    @property
    def divides(self) -> bool:
        """Whether the delimiter is one: many records have as many fields as the first, or nearly all have some."""
        if self.columns < 2:
            return False
        return self.share > _SHARE_MIN or sum(count > 1 for count in self.counts) >= 0.9 * len(self.counts)

    def rows(self, count: int) -> list[list[bytes]]:
        """The first records' fields as they stand in the text."""
        first = np.cumsum(self.cut.counts) - self.cut.counts
        found = []
        for index in self.at[:count]:
            start = int(self.cut.ends[index - 1]) if index else 0
            stops = self.cut.separators[first[index] : first[index] + self.cut.counts[index]].tolist()
            begins = [start, *(stop + 1 for stop in stops)]
            found.append([self.text[a:b].rstrip(b"\r\n") for a, b in zip(begins, stops, strict=False)])
        return found

    @property
    def cleanness(self) -> float:
        """The share of the first records' fields that no other delimiter is left in."""
        fields = [field for row in self.rows(_JUDGED_RECORDS) for field in row]
        return sum(bool(_CLEAN.fullmatch(field)) for field in fields) / max(1, len(fields))

    @property
    def misplaced_quotes(self) -> int:
        """Quoted stretches that begin or end in the middle of a field."""
        if len(self.cut.quotes) < 2:
            return 0
        openers, closers = sections(self.cut.quotes[: len(self.cut.quotes) // 2 * 2])
        shape = self.shape
        return sum(
            not (begins_field(self.text, opener, shape) and ends_field(self.text, closer, shape))
            for opener, closer in zip(openers.tolist(), closers.tolist(), strict=False)
        )


# What makes one fit better than another, the most important first.
_MERITS: tuple[Callable[[Fit], Any], ...] = (
    lambda fit: fit.is_covered,
    lambda fit: fit.divides,
    lambda fit: fit.share,
    lambda fit: -fit.misplaced_quotes if fit.divides else 0,
    lambda fit: -fit.variant,
    lambda fit: fit.cleanness if fit.divides else 0,
    lambda fit: fit.shape.delimiter in STRONG,
    lambda fit: fit.columns if fit.divides else _unlikeliness(fit.shape.delimiter),
)


def _unlikeliness(delimiter: int) -> int:
    return _UNLIKELY[::-1].find(delimiter)


class DialectProbe:
    """Finds the best fit among what is left open by the options."""

    def __init__(self, options: ReadOptions, *, delimiter: int | None = None, line_end: bytes = b"\n") -> None:
        self._line_end = line_end
        self._delimiter = single_byte("delimiter", options.delimiter) or delimiter
        self._has_quotes = options.quote != ""
        self._quote = single_byte("quote", options.quote) if self._has_quotes else None
        self._escape = single_byte("escape", options.escape)
        self._comment = single_byte("comment", options.comment)
        structural = [self._delimiter or ord(","), self._comment]
        structural.append((self._quote or ord('"')) if self._has_quotes else None)
        distinct = [each for each in structural if each is not None]
        if len(set(distinct)) < len(distinct) or self._escape in distinct[: 1 + (self._comment is not None)]:
            raise OptionError("delimiter, quote, escape and comment must differ from each other")

    def best(self, text: bytes, *, is_whole: bool) -> Fit:
        """The fit that explains the beginning of a file best."""
        quote = self._quote_of(text)
        plain = CsvShape(
            delimiter=self._delimiter or 0,
            quote=quote,
            escape=self._escape or quote,
            comment=self._comment,
            has_quotes=self._has_quotes,
            escapes_unquoted=self._escape not in {None, quote},
        )
        line_end = _detect_line_end(text, plain) or self._line_end
        newline, is_crlf = line_end[-1], line_end == b"\r\n"
        head = text[:_JUDGED_BYTES]
        if head.count(newline) < 3 or len(text) <= _JUDGED_BYTES:
            head = text
        if is_whole and head is text and not text.endswith(bytes([newline])):
            head += bytes([newline])
        taken = {quote, self._comment, self._escape}
        delimiters = [self._delimiter] if self._delimiter else _candidates(head, taken)
        fits = [
            _fit(
                head,
                replace(
                    plain,
                    delimiter=delimiter,
                    escape=quote if variant == _DOUBLED else self._escape or _BACKSLASH,
                    newline=newline,
                    is_crlf=is_crlf,
                    escapes_unquoted=variant == _ESCAPED_UNQUOTED,
                ),
                variant,
                is_whole=is_whole,
            )
            for delimiter, variant in product(delimiters, self._variants(head, quote, bytes(delimiters)))
        ]
        clear = [each for each in fits if each.variant != _ESCAPED_UNQUOTED or self._escape or _is_clear(each)]
        for merit in _MERITS:  # one after the other, as the later ones take longer and are seldom needed
            if len(clear) == 1:
                break
            merits = [merit(each) for each in clear]
            best = max(merits)
            clear = [each for each, found in zip(clear, merits, strict=True) if found == best]
        return clear[0]

    def _quote_of(self, text: bytes) -> int:
        if self._has_quotes:
            return self._quote or _detect_quote(text)
        taken = {self._delimiter, self._escape, self._comment, CR, LF, *STRONG}
        free = [byte for byte in (*range(1, 32), 127) if byte not in taken]
        unused: list[int] = [byte for byte in free if byte not in text]
        return (unused or free)[0]

    def _variants(self, text: bytes, quote: int, delimiters: bytes) -> list[int]:
        """The uses of escapes that are possible."""
        if self._escape is not None:
            return [_DOUBLED if self._escape == quote else _ESCAPED_UNQUOTED]
        variants = [_DOUBLED]
        if self._has_quotes and bytes([_BACKSLASH, quote]) in text:
            variants += [_ESCAPED, _ESCAPED_UNQUOTED]
        elif any(bytes([_BACKSLASH, delimiter]) in text for delimiter in delimiters):
            variants.append(_ESCAPED_UNQUOTED)
        return variants


def _candidates(text: bytes, taken: set[int | None]) -> list[int]:
    """The delimiters that occur, and one of the others, none of which divides anything."""
    free = [each for each in STRONG + _WEAK if each not in taken]
    absent = [each for each in free if each not in text]
    if absent:
        stands_for_all = max(absent, key=lambda each: (each in STRONG, _unlikeliness(each)))
        absent.remove(stands_for_all)
    return [each for each in free if each not in absent]


def single_byte(name: str, value: str | None) -> int | None:
    """The character that an option states."""
    if value is None:
        return None
    if len(value) != 1 or not value.isascii() or value in "\0\r\n":
        raise OptionError(f"{name}: {value!r} is not one ASCII character")
    return ord(value)


def _is_clear(fit: Fit) -> bool:
    """Escapes outside quotes are assumed only where every record has the header's fields then."""
    return fit.divides and fit.share == 1.0 and len(fit.counts) > 1


def _fit(text: bytes, shape: CsvShape, variant: int, *, is_whole: bool) -> Fit:
    plain = masked(text, shape)
    found = cut(plain, shape.masked)
    extent = extents(plain, found, shape)
    records = np.flatnonzero(is_record(text, extent, shape, 2))[:_SAMPLE_RECORDS]
    counts = found.counts[records].tolist()
    covered = int(found.ends[-1]) if len(found) else 0
    return Fit(
        shape=shape,
        text=text,
        cut=found,
        counts=counts,
        at=records.tolist(),
        share=counts.count(counts[0]) / len(counts) if counts else 0.0,
        variant=variant,
        is_covered=covered == len(text) if is_whole else found.stray is None and covered * 2 >= len(text),
    )


def _detect_quote(text: bytes) -> int:
    """The double quote, unless none occurs and single quotes enclose a field on nearly every line."""
    if b'"' not in text and b"'" in text:
        lines = text.splitlines()[1 : _SAMPLE_RECORDS + 1]
        enclosed = re.compile(rb"(?:^|[" + _BORDER + rb"])'[^']*'(?:[" + _BORDER + rb"]|$)")
        count = sum(bool(enclosed.search(line)) for line in lines)
        if count and count * 10 >= len(lines) * 9:
            return ord("'")
    return ord('"')


def _detect_line_end(text: bytes, shape: CsvShape) -> bytes | None:
    """As COPY decides it: by the first line end outside quotes; by the first one where quotes never end."""
    escaped = re.escape(bytes([shape.escape])) + b".|" if shape.escapes_unquoted else b""
    quote = re.escape(bytes([shape.quote])) + b"|" if shape.has_quotes else b""
    comment = b"" if shape.comment is None else rb"(?:\A|(?<=[\r\n]))" + re.escape(bytes([shape.comment])) + b"|"
    token = re.compile(escaped + comment + quote + rb"\r\n|\r|\n", re.DOTALL)
    line_end = re.compile(rb"[\r\n]")
    is_inside = False
    first: bytes | None = None
    at = 0
    while found := token.search(text, at):
        at = found.end()
        if found[0] in {b"\r\n", b"\r", b"\n"}:
            if not is_inside:
                return found[0]
            first = first or found[0]
        elif shape.has_quotes and found[0][0] == shape.quote:
            is_inside = not is_inside
        elif found[0][0] == shape.comment and not is_inside:
            end = line_end.search(text, at)
            at = end.start() if end else len(text)
    return first if is_inside else None
