"""How values are written: the fields concerned are rewritten in a batch's bytes, so that COPY reads what is meant.

First blanks are cut (``trim``), then the words for null are looked for (``nulls``), then what is left is read in
the forms of the options and of the columns' types. A value that its form cannot read stays as it is, and its
record is objected to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from jobd.importing.fields.forms.form import Form, Unreadable
from jobd.importing.fields.nulls import null_records
from jobd.importing.fields.rewrite import as_field, with_fields
from jobd.importing.objections import UNREADABLE, Objection, Objections
from jobd.sources.copy_dialect import decode_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jobd.importing.fields.candidates import Candidates
    from jobd.importing.fields.nulls import NullRule
    from jobd.sources import CopyDialect, RecordBatch

# Values that are remembered, of all columns together; as a rule a column has few different ones. Longer ones are
# read each time.
REMEMBERED_MAX = 100_000
REMEMBERED_BYTES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldForm:
    """The form of one field. ``candidates`` finds the records whose field can concern it; None: all."""

    place: int
    form: Form
    is_text: bool
    candidates: Candidates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldForms:
    """All forms of an import: ``before`` the words for null are looked for, and ``after``."""

    before: tuple[FieldForm, ...] = ()
    after: tuple[FieldForm, ...] = ()

    def __len__(self) -> int:
        return len(self.before) + len(self.after)

    @property
    def places(self) -> frozenset[int]:
        """Fields that may come to be written otherwise than in the file."""
        return frozenset(each.place for each in (*self.before, *self.after))


class _Remembered(dict[bytes, "bytes | str | None"]):
    """How fields are to be written: other bytes, None where they stay, or what is wrong with them in words."""

    def __init__(self, form: Form, dialect: CopyDialect, null_word: str | None) -> None:
        super().__init__()
        self._form = form
        self._dialect = dialect
        self._null_word = null_word
        # The common field, without quotes and without need of them, is read without further ado.
        self._codec, self._quote = dialect.codec, dialect.quote.encode()
        self._marks = frozenset({dialect.delimiter, dialect.quote, "\r", "\n"})

    def __missing__(self, raw: bytes) -> bytes | str | None:
        found = self._read(raw)
        if len(raw) <= REMEMBERED_BYTES_MAX:
            self[raw] = found
        return found

    def _read(self, raw: bytes) -> bytes | str | None:
        if self._quote not in raw:
            text, was_quoted = raw.decode(self._codec, "replace"), False
        else:
            text, was_quoted = decode_field(raw, self._dialect)
        try:
            written = self._form(text, was_quoted)
            if written is None:
                return None
            if not was_quoted and self._marks.isdisjoint(written) and written != self._null_word:
                return written.encode(self._codec)
            # Before words for null are looked for, quotes say that an empty field is none; later on they keep a
            # value from being taken for such a word.
            is_quoted = was_quoted if self._null_word is None else written == self._null_word
            return as_field(written, self._dialect, is_quoted=is_quoted)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            return f"holds the character {character!a}, which {self._dialect.codec.upper()} lacks"
        except Unreadable as error:
            return str(error)


@dataclass(slots=True)
class Values:
    """Writes the values of one source's batches. Batches may be written in several threads at once."""

    forms: FieldForms
    dialect: CopyDialect
    null_word: str
    _remembered: dict[tuple[bool, int], _Remembered] = field(default_factory=dict)

    def trimmed(self, batch: RecordBatch) -> RecordBatch:
        """The batch as words for null are looked for in it."""
        return self._written(batch, self.forms.before, None, Objections()) if self.forms.before else batch

    def read(self, batch: RecordBatch, rule: NullRule) -> tuple[RecordBatch, Objections]:
        """The batch as COPY is to read it, and what could not be read."""
        objections = Objections()
        if not self.forms.after or not len(batch):
            return batch, objections
        return self._written(batch, self.forms.after, rule, objections), objections

    def _written(
        self, batch: RecordBatch, forms: Sequence[FieldForm], rule: NullRule | None, objections: Objections
    ) -> RecordBatch:
        records: list[int] = []
        places: list[int] = []
        texts: list[bytes] = []
        for each in forms:
            numbers = self._concerned(batch, each, rule)
            if not len(numbers):
                continue
            starts = batch.column_starts(each.place)[numbers].tolist()
            ends = batch.field_ends[numbers, each.place].tolist()
            data = batch.data
            raws = [data[start:end] for start, end in zip(starts, ends, strict=True)]
            remembered = self._remember(each, is_before=rule is None)
            for number, found in zip(numbers.tolist(), map(remembered.__getitem__, raws), strict=True):
                if found is None:
                    continue
                if isinstance(found, bytes):
                    records.append(number)
                    places.append(each.place)
                    texts.append(found)
                else:
                    objections.add(number, Objection(each.place, UNREADABLE, found))
        at, of = np.array(records, np.int64), np.array(places, np.int64)
        order = np.lexsort((of, at))
        return with_fields(batch, at[order], of[order], [texts[index] for index in order.tolist()])

    @staticmethod
    def _concerned(batch: RecordBatch, form: FieldForm, rule: NullRule | None) -> NDArray[np.int64]:
        found = np.ones(len(batch), np.bool_)
        if form.candidates is not None:
            found[:] = False
            found[form.candidates(batch, form.place)] = True
        if rule is not None:
            found[null_records(batch, form.place, rule, is_text=form.is_text)] = False
        return np.flatnonzero(found)

    def _remember(self, form: FieldForm, *, is_before: bool) -> _Remembered:
        known = self._remembered.get((is_before, form.place))
        if known is None or len(known) > REMEMBERED_MAX // len(self.forms):
            # A new one, since another thread may be at the old one.
            known = _Remembered(form.form, self.dialect, None if is_before else self.null_word)
            self._remembered[is_before, form.place] = known
        return known
