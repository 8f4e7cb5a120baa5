"""Which fields are null: the words that stand for it, and COPY told of them.

COPY knows one word for the whole file. Where the job's words are more than that, exactly the fields concerned are
rewritten, in bulk: a null becomes the unquoted empty field, and an empty field that is no null becomes ``""``.
A word that cannot stand without quotes, as it holds a delimiter, a quote or a line end, is one in quotes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobd.importing.fields.rewrite import as_field, with_fields
from jobd.importing.fields.stated import stated_by_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.importing.fields.mapping import FieldMapping
    from jobd.model.options import ImportOptions
    from jobd.sources import CopyDialect, RecordBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class NullRule:
    """What COPY is told about nulls. ``forces_null``: a quoted empty field of a type that is no text is null."""

    word: str = ""
    forces_null: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NullWords:
    """The words of each mapped field, by its place. ``are_quoted_too``: in JSON, where every text is quoted."""

    by_place: tuple[tuple[str, ...], ...]
    are_quoted_too: bool

    @property
    def single(self) -> str | None:
        """The one word of all fields, where it is one."""
        words = set(self.by_place)
        return next(iter(words))[0] if len(words) == 1 and len(self.by_place[0]) == 1 else None


def null_words(options: ImportOptions, mapping: FieldMapping, *, is_json: bool) -> NullWords:
    """The words of each mapped field. A null of JSON is always null; words stand for texts equal to them.

    Records without surplus values have none, whatever the words of the file are.
    """
    stated = stated_by_field("null_values", options.null_values, mapping, options)
    found: list[tuple[str, ...]] = []
    for place, each in enumerate(mapping.fields):
        words = stated.at(place)
        words = ("",) if words is None else words
        found.append(("", *(word for word in words if word)) if is_json or each.is_rest else words)
    return NullWords(by_place=tuple(found), are_quoted_too=is_json)


def null_rule(words: NullWords, dialect: CopyDialect) -> NullRule | None:
    """What COPY is to be told when the bytes can stay as they are; None where they must be rewritten."""
    word = words.single
    if word is None:
        return None
    if word == "":
        return NullRule()
    if needs_quotes(word, dialect) or not _is_encodable(word, dialect):
        return None
    return NullRule(word=word, forces_null=False)


def with_null_rule(
    batch: RecordBatch, mapping: FieldMapping, words: NullWords, rule: NullRule | None
) -> tuple[RecordBatch, NullRule]:
    """The batch as COPY can take it, and what COPY is to be told."""
    if rule is not None and (rule.word == "" or not _has_quoted_empty(batch, mapping)):
        return batch, rule
    return _rewritten(batch, mapping, words), NullRule(word="", forces_null=False)


def null_records(batch: RecordBatch, place: int, rule: NullRule, *, is_text: bool) -> NDArray[np.int64]:
    """Records whose field COPY will read as null."""
    found = batch.fields_equal(place, rule.word.encode(batch.dialect.codec))
    if rule.forces_null and not is_text:
        return batch.empty_fields(place, quoted=True)
    return found


def needs_quotes(word: str, dialect: CopyDialect) -> bool:
    """Whether a word cannot stand without quotes."""
    return not {dialect.delimiter, dialect.quote, "\r", "\n"}.isdisjoint(word)


def _is_encodable(word: str, dialect: CopyDialect) -> bool:
    try:
        word.encode(dialect.codec)
    except UnicodeEncodeError:
        return False
    return True


def _pair(dialect: CopyDialect) -> bytes:
    return (dialect.quote * 2).encode(dialect.codec)


def _has_quoted_empty(batch: RecordBatch, mapping: FieldMapping) -> bool:
    """Whether a quoted empty field must be null although COPY would read it as an empty text."""
    pair = _pair(batch.dialect)
    if pair not in batch.data:
        return False
    return any(
        len(batch.fields_equal(place, pair))
        for place, each in enumerate(mapping.fields)
        if not each.column.is_text
    )


def _rewritten(batch: RecordBatch, mapping: FieldMapping, words: NullWords) -> RecordBatch:
    if not len(batch):
        return batch
    codec = batch.dialect.codec
    pair = _pair(batch.dialect)
    # For each field: 1 = becomes the unquoted empty field, 2 = becomes the quoted one.
    change = np.zeros(batch.field_ends.shape, np.int8)
    for place, each in enumerate(mapping.fields):
        if "" not in words.by_place[place]:
            change[batch.fields_equal(place, b""), place] = 2
        if not each.column.is_text:
            change[batch.fields_equal(place, pair), place] = 1
        for word in filter(None, words.by_place[place]):
            if not _is_encodable(word, batch.dialect):
                continue
            change[batch.fields_equal(place, word.encode(codec)), place] = 1
            if words.are_quoted_too or needs_quotes(word, batch.dialect):
                quoted = as_field(word, batch.dialect, is_quoted=True)
                change[batch.fields_equal(place, quoted), place] = 1
    records, places = np.nonzero(change)
    texts = [b"", b"", pair]
    return with_fields(batch, records, places, [texts[kind] for kind in change[records, places].tolist()])
