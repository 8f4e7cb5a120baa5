r"""Records that COPY would read in another way than they are meant: written anew, one by one.

- Quotes in the middle of an unquoted field (``5" x 6"``) are what they are, where the record then has as many
  fields as there are columns; COPY would drop them.
- An escape outside quotes, where they are in use, takes a delimiter, quote, escape or line end behind it as it is;
  before anything else it is an ordinary character, so that ``\N`` stays what it is.
- A doubled quote inside quotes is a quote also in files whose escape is another character.
- In files without quoting, whatever looks like a quote to COPY is put into quotes.
- A lone ``\.`` ends a COPY up to PostgreSQL 17, silently; in quotes it is what it says.
- Short and long records are filled up and cut as ``ragged`` and ``collects_rest`` say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from jobd.sources.copy_dialect import decode_field
from jobd.sources.formats.csv_cutter import CR, LF, begins_field, sections

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from numpy.typing import NDArray

    from jobd.sources.copy_dialect import CopyDialect
    from jobd.sources.formats.csv_cutter import CsvShape, Cut

    Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """How one file's records become COPY's; ``columns`` are the file's, without the one for the rest."""

    shape: CsvShape
    dialect: CopyDialect
    columns: int
    ragged: Literal["error", "pad", "truncate"] = "error"
    collects_rest: bool = False

    def _admits(self, count: int) -> bool:
        """Whether a record of so many fields is taken."""
        if count < self.columns:
            return self.ragged != "error"
        return count == self.columns or self.ragged == "truncate" or self.collects_rest

    def suspects(self, buffer: bytes, text: bytes, cut: Cut) -> NDArray[np.bool_]:
        """Which records to look at one by one."""
        suspects = np.zeros(len(cut), np.bool_)
        if self._admits(self.columns - 1):
            suspects |= cut.counts < self.columns
        if self._admits(self.columns + 1):
            suspects |= cut.counts > self.columns
        for found in (
            self.misplaced_quotes(text, cut.quotes),
            self._doubled_quotes(cut.quotes),
            self._escapes(buffer, cut.quotes),
            self._stand_ins(buffer),
            self._end_marks(buffer),
        ):
            if len(found):
                at = np.searchsorted(cut.ends, found, "right")
                suspects[at[at < len(cut)]] = True
        return suspects

    def misplaced_quotes(self, text: bytes, quotes: Offsets) -> Offsets:
        """Quotes that open where no field begins."""
        if not len(quotes):
            return quotes
        shape = self.shape
        array = np.frombuffer(text, np.uint8)
        ends = bytes([shape.delimiter, LF, CR, shape.quote])
        first = int(quotes[0] == 0)
        if not array.take(quotes[0::2][first:] - 1).tobytes().translate(None, ends):
            return quotes[:0]
        borders = np.zeros(256, np.bool_)
        borders[list(ends)] = True
        openers = sections(quotes)[0]
        before = array[np.maximum(openers - 1, 0)]
        is_good = borders[before] | (openers == 0)
        is_good |= ((before == ord(" ")) | (before == ord("\t"))) & borders[array[np.maximum(openers - 2, 0)]]
        doubtful = openers[~is_good].tolist()
        return np.array([opener for opener in doubtful if not begins_field(text, opener, shape)], np.int64)

    def _doubled_quotes(self, quotes: Offsets) -> Offsets:
        if self.shape.masked.escape == self.shape.quote and not self.shape.escapes_unquoted:
            return quotes[:0]
        closers, openers = quotes[1::2], quotes[2::2]
        doubled: Offsets = openers[openers == closers[: len(openers)] + 1]
        return doubled

    def _escapes(self, buffer: bytes, quotes: Offsets) -> Offsets:
        shape = self.shape
        if not shape.escapes_unquoted or buffer.find(shape.escape) < 0:
            return quotes[:0]
        pair = re.compile(re.escape(bytes([shape.escape])) + b".", re.DOTALL)
        found = np.array([each.start() for each in pair.finditer(buffer)], np.int64)
        taken = np.frombuffer(buffer, np.uint8)[found + 1]
        as_copy = (taken == shape.escape) | (shape.has_quotes & (taken == shape.quote))
        is_inside = np.searchsorted(quotes, found) % 2 == 1
        others: Offsets = found[~(as_copy & is_inside)]
        return others

    def _stand_ins(self, buffer: bytes) -> Offsets:
        if self.shape.has_quotes or buffer.find(self.shape.quote) < 0:
            return np.zeros(0, np.int64)
        return np.flatnonzero(np.frombuffer(buffer, np.uint8) == self.shape.quote)

    def _end_marks(self, buffer: bytes) -> Offsets:
        if self.columns > 1 or self.collects_rest or buffer.find(b"\\.") < 0:
            return np.zeros(0, np.int64)
        return np.array([each.start() for each in re.finditer(rb"\\\.", buffer)], np.int64)

    def fields(self, content: bytes, text: bytes, stops: Sequence[int]) -> list[bytes] | None:
        """The record's fields as COPY must get them; None where their number is not admitted."""
        raw = _divided(content, stops)
        is_literal = False
        if self.shape.has_quotes and any(self._is_unquoted_with_quotes(each) for each in _divided(text, stops)):
            literal = self._literal_stops(text)
            is_literal = literal is not None and len(literal) == self.columns
            raw = _divided(content, literal) if literal and is_literal else raw
        if not is_literal and not self._admits(len(stops)):
            return None
        fields = [self._for_copy(each, is_literal=is_literal) for each in raw[: self.columns]]
        fields += [b""] * (self.columns - len(fields))
        if self.collects_rest:
            rest = [self._text(each, is_literal=is_literal) for each in raw[self.columns :]]
            fields.append(self._quoted(msgspec.json.encode(rest).decode()) if rest else b"")
        return fields

    def _is_unquoted_with_quotes(self, raw: bytes) -> bool:
        return raw.find(self.shape.quote) > 0 and _opener(raw, self.shape) < 0

    def _is_plain(self, raw: bytes) -> bool:
        return raw.find(self.shape.quote) < 0 and raw.find(self.shape.escape) < 0

    def _is_as_copy(self, raw: bytes, *, is_literal: bool) -> bool:
        """Whether the field is one that COPY reads as it is meant, by the file's dialect alone."""
        shape = self.shape
        return shape.has_quotes and shape.escape == shape.quote and not (is_literal and _opener(raw, shape) < 0)

    def _for_copy(self, raw: bytes, *, is_literal: bool) -> bytes:
        if self.columns > 1 and (self._is_plain(raw) or self._is_as_copy(raw, is_literal=is_literal)):
            return raw
        text = self._text(raw, is_literal=is_literal)
        is_end_mark = raw == b"\\." and self.columns == 1 and not self.collects_rest
        return raw if decode_field(raw, self.dialect).text == text and not is_end_mark else self._quoted(text)

    def _quoted(self, text: str) -> bytes:
        quote, escape = self.dialect.quote, self.dialect.escape
        escaped = text if escape == quote else text.replace(escape, escape * 2)
        return f"{quote}{escaped.replace(quote, escape + quote)}{quote}".encode(self.dialect.codec)

    def _text(self, raw: bytes, *, is_literal: bool) -> str:
        """What the field says."""
        shape = self.shape
        if self._is_plain(raw):
            return raw.decode(self.dialect.codec, "replace")
        if self._is_as_copy(raw, is_literal=is_literal):
            return decode_field(raw, self.dialect).text
        has_quotes = shape.has_quotes and not (is_literal and _opener(raw, shape) < 0)
        value = bytearray()
        is_inside = False
        at = 0
        while at < len(raw):
            byte, following = raw[at], raw[at + 1] if at + 1 < len(raw) else -1
            if byte == shape.escape != shape.quote and self._takes(following, is_inside=is_inside):
                value.append(following)
                at += 1
            elif has_quotes and byte == shape.quote:
                if is_inside and following == shape.quote:
                    value.append(byte)
                    at += 1
                else:
                    is_inside = not is_inside
            else:
                value.append(byte)
            at += 1
        return value.decode(self.dialect.codec, "replace")

    def _takes(self, following: int, *, is_inside: bool) -> bool:
        """Whether an escape takes what follows it as it is."""
        shape = self.shape
        if shape.escapes_unquoted:
            quotes = (shape.quote,) if shape.has_quotes else b"\"'"
            return following in {shape.delimiter, shape.escape, CR, LF, *quotes}
        return is_inside and following in {shape.quote, shape.escape}

    def _literal_stops(self, text: bytes) -> list[int] | None:
        """Where fields end if only those that begin with a quote are quoted; None: it cannot be read that way."""
        shape = self.shape
        stops: list[int] = []
        at = 0
        while not stops or stops[-1] < len(text):
            stop = _quoted_stop(text, at, shape)
            if stop is None:
                stop = text.find(shape.delimiter, at)
                stop = len(text) if stop < 0 else stop
                if shape.newline in text[at:stop]:
                    return None
            elif stop < 0:
                return None
            stops.append(stop)
            at = stop + 1
        return stops


def _divided(record: bytes, stops: Sequence[int]) -> list[bytes]:
    starts = [0, *(stop + 1 for stop in stops[:-1])]
    return [record[start:stop] for start, stop in zip(starts, stops, strict=True)]


def _opener(raw: bytes, shape: CsvShape) -> int:
    """Where the quote stands with which a field begins, -1 where it does not."""
    at = 0
    while raw[at : at + 1] in {b" ", b"\t"}:
        at += 1
    return at if raw[at : at + 1] == bytes([shape.quote]) else -1


def _quoted_stop(text: bytes, start: int, shape: CsvShape) -> int | None:
    """Where the field ends that begins with a quote; None: it does not; -1: it does not end."""
    at = start
    while text[at : at + 1] in {b" ", b"\t"} and text[at] != shape.delimiter:
        at += 1
    if text[at : at + 1] != bytes([shape.quote]):
        return None
    is_inside = False
    while at < len(text):
        byte = text[at]
        if is_inside and byte == shape.masked.escape != shape.quote:
            at += 1
        elif byte == shape.quote:
            is_inside = not is_inside
        elif byte == shape.delimiter and not is_inside:
            return at
        at += 1
    return -1 if is_inside else len(text)
