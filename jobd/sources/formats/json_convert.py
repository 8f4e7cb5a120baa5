"""Turns JSON records into blocks, in bulk where all of them are good."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from jobd.sources.formats import refusal
from jobd.sources.formats.block import NewFields, accepts_nothing
from jobd.sources.formats.encodings import is_decodable
from jobd.sources.formats.json_csv import NestedTooDeeply, is_too_deep, to_csv
from jobd.sources.formats.json_decoders import MISSING, decoders, has_lone_surrogate, pairs, values_of
from jobd.sources.formats.json_escapes import NulCharacter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobd.sources.formats.block import Accepts, Block
    from jobd.sources.formats.json_csv import Csv, Values
    from jobd.sources.formats.json_stretch import LongRecord, Stretch
    from jobd.sources.options import Limits
    from jobd.sources.records import RefusedRecord


_BLANKS = b" \t\r\n"
_PASSED_OVER_MAX = 1000  # keys that are learnt to be of no interest, so that they slow nothing down
_DEPTH_MAX = 500  # the decoder's own bound depends on how deep the calls around it are, and is not far above
_BAD = (msgspec.DecodeError, RecursionError, NulCharacter, NestedTooDeeply)


class _NewKeys(Exception):
    """A record has keys that are not in the header, and that are wanted."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self.names = names


class _Refused(Exception):
    """A record cannot be taken: why, and in which field."""

    def __init__(self, reason: tuple[str, str], field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class Conversion:
    """From records to blocks, for one header. ``id_index``: where among the fields the record's id belongs."""

    def __init__(
        self,
        header: Sequence[str],
        limits: Limits,
        *,
        ignore_unknown: bool,
        accepts: Accepts,
        id_index: int | None = None,
    ) -> None:
        self._header = list(header)
        self._keys = [key for index, key in enumerate(header) if index != id_index]
        self._known = frozenset(self._keys)
        self._limits = limits
        self._depth_max = min(limits.nesting_depth, _DEPTH_MAX)
        self._ignores = ignore_unknown
        self._accepts = accepts
        self._id_index = id_index
        self._passed_over: dict[str, None] = {}
        self._watches = accepts is not accepts_nothing or not ignore_unknown
        self._build()

    def _build(self) -> None:
        """Decoders that meet a key they were not told of as an error, where that key may be of interest."""
        self._is_crowded = self._watches and len(self._passed_over) > _PASSED_OVER_MAX
        self._told = self._keys if self._is_crowded else [*self._keys, *self._passed_over]
        self._decode, self._decode_many = decoders(self._told, is_strict=self._watches and not self._is_crowded)

    def long(self, record: LongRecord) -> Block:
        """The block of one record that is too long."""
        reason = refusal.too_long(self._limits.record_bytes)
        return record.block(refusal.refused(reason, record.line, record.beginning), len(self._header))

    def blocks(self, stretch: Stretch, joined: bytes | None) -> Iterator[Block | NewFields]:
        """The records' block, up to the first with new fields.

        ``joined`` are all of them and nothing else; None where the records cannot be told apart in it.
        """
        csv = None if joined is None else self._at_once(stretch, joined)
        if csv is not None:
            yield stretch.block(csv, [], [])
        else:
            yield from self._one_by_one(stretch)

    def _at_once(self, stretch: Stretch, joined: bytes) -> Csv | None:
        """All records; None where any of them needs a look of its own."""
        if self._is_crowded or not is_decodable(joined, "utf-8"):
            return None
        try:
            rows = self._decode_many(joined)
            if len(rows) != len(stretch):
                return None
            if len(self._told) > len(self._keys):
                rows = [row[: len(self._keys)] for row in rows]
            if stretch.ids is not None:
                rows = self._with_ids(rows, values_of(b"[" + b",".join(stretch.ids) + b"]"))
            return to_csv(joined, rows, len(self._header), self._depth_max)
        except _BAD:
            return None

    def _with_ids(self, rows: list[Values], ids: Sequence[msgspec.Raw | bytes]) -> list[Values]:
        at = self._id_index
        if at is None:
            return rows
        return [(*row[:at], each, *row[at:]) for row, each in zip(rows, ids, strict=True)]

    def _one_by_one(self, stretch: Stretch) -> Iterator[Block | NewFields]:
        rows: list[Values] = []
        refused: list[RefusedRecord] = []
        refused_at: list[int] = []
        kept: list[int] = []
        new: NewFields | None = None
        for index in range(len(stretch)):
            record = stretch.record(index)
            if not record.strip(_BLANKS):
                continue
            identity = None if stretch.ids is None else stretch.ids[index]
            try:
                rows.append(self._values(record, identity))
            except _NewKeys as found:
                position, line = stretch.before(index)
                new = NewFields(names=found.names, position=position, line=line)
                break
            except _Refused as why:
                refused_at.append(len(kept))
                refused.append(refusal.refused(why.reason, int(stretch.lines[index]), record, why.field))
            kept.append(index)
        if kept:
            csv = to_csv(stretch.text, rows, len(self._header), self._depth_max)
            yield stretch.only(kept).block(csv, refused_at, refused)
        if new is not None:
            yield new
        elif len(self._passed_over) > len(self._told) - len(self._keys) and not self._is_crowded:
            self._build()

    def _values(self, record: bytes, identity: bytes | None) -> Values:
        """One record's values. Raises _Refused, or _NewKeys where it has fields that are wanted."""
        if b"\0" in record:
            raise _Refused(refusal.nul_byte())
        if not is_decodable(record if identity is None else identity + record, "utf-8"):
            raise _Refused(refusal.undecodable("utf-8"))
        try:
            values = self._of_keys(record)
            if identity is not None:
                (values,) = self._with_ids([values], values_of(b"[" + identity + b"]"))
        except RecursionError:
            raise _Refused(refusal.nested_too_deeply(self._depth_max)) from None
        except msgspec.ValidationError:
            raise _Refused(refusal.not_an_object()) from None
        except msgspec.DecodeError as error:
            is_half = has_lone_surrogate(record if identity is None else identity + record)
            raise _Refused(refusal.half_character() if is_half else refusal.malformed_json(str(error))) from None
        for key, value in zip(self._header, map(bytes, values), strict=True):
            if value[:1] == b'"' and rb"\u0000" in value and "\0" in msgspec.json.decode(value):
                raise _Refused(refusal.nul_byte(), key)
            if value[:1] in {b"[", b"{"} and is_too_deep(value, self._depth_max - 1):
                raise _Refused(refusal.nested_too_deeply(self._depth_max), key)
        return values

    def _of_keys(self, record: bytes) -> Values:
        """The values of the record's wanted keys; the others are none of interest, or the record is not taken."""
        if not self._is_crowded:
            with suppress(msgspec.ValidationError):  # it has other keys, or is no object
                return self._decode(record)[: len(self._keys)]
        found = pairs(record)
        if self._watches:
            self._meet([key for key in found if key not in self._known and key not in self._passed_over])
        return tuple(found.get(key, MISSING) for key in self._keys)

    def _meet(self, new: list[str]) -> None:
        """Keys that were not met before; those that nobody wants are not met again."""
        wanted = tuple(key for key in new if key not in self._header and self._accepts(key))
        if wanted and len(self._header) + len(wanted) > self._limits.columns:
            raise _Refused(refusal.too_many_keys(self._limits.columns), wanted[0])
        if wanted:
            raise _NewKeys(wanted)
        if new and not self._ignores:
            raise _Refused(refusal.unknown_field(new[0]), new[0])
        if len(self._passed_over) <= _PASSED_OVER_MAX:
            self._passed_over.update(dict.fromkeys(new))
