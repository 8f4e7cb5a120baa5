"""What is written down of refused records: one entry for each reason, in words for people and for programs."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from jobd.errors import TargetChanged
from jobd.importing.codes import classify
from jobd.model.row_error import (
    RAW_DATA_CHARACTERS_MAX,
    ErrorType,
    RejectedRecord,
    RowError,
)
from jobd.sources.copy_dialect import decode_field

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.objections import Objection
    from jobd.importing.rejected import RejectedRecords
    from jobd.importing.target import Target

T = TypeVar("T")


class Refusals:
    """The refused records of one batch, by their number in it."""

    def __init__(
        self,
        target: Target,
        mapping: FieldMapping,
        arranged: ArrangedBatch,
        records: RejectedRecords,
        rewritten: Collection[int] = (),
    ) -> None:
        self._target = target
        self._mapping = mapping
        self._arranged = arranged
        self.records = records
        self._first_field = len(mapping.columns) - len(mapping.fields)
        # Columns whose fields PostgreSQL may have been shown written otherwise than in the file.
        self._rewritten = frozenset(place + self._first_field for place in rewritten)
        self._errors: dict[int, list[RowError]] = {}

    def __len__(self) -> int:
        return len(self._errors) + len(self._arranged.original.refused)

    def __contains__(self, number: int) -> bool:
        return number in self._errors

    @property
    def numbers(self) -> Iterable[int]:
        """Records that are refused, but for those that the reader refused."""
        return self._errors.keys()

    def forget(self) -> None:
        """Start again: what was refused so far is undone with its savepoint."""
        self._errors.clear()

    def refuse_values(self, found: Iterable[Any], numbers: Iterable[int]) -> set[int]:
        """Fields whose type refuses their value, or that are null and may not be: what ``explain`` finds.

        Beside them what is objected to in the records ``numbers``. There may be tens of thousands, so this is
        written to be fast.
        """
        if not self._arranged.objections:
            return self._refuse_values(found)
        return self._refuse_values(self._with_objections(found, numbers)) | self._refuse_objects(numbers)

    def _refuse_values(self, found: Iterable[Any]) -> set[int]:
        batch, errors = self._arranged.original, self._errors
        names = [span.name for span in batch.spans]
        refused: set[int] = set()
        for place, sqlstate, numbers, messages, values in found:
            kind, code = classify(sqlstate)
            name = self._mapping.columns[place].name
            raws = values
            if values[0] is None:
                code, message = self._null(place)
                messages = [message] * len(numbers)  # noqa: PLW2901
            if values[0] is None or place in self._rewritten:
                shown = (self._value(number, name) for number in numbers)
                raws = [raw and raw[:RAW_DATA_CHARACTERS_MAX] for raw in shown]
            files = names * len(numbers) if len(names) == 1 else map(batch.file_of, numbers)
            field = self._field_name(name)
            state = sqlstate if len(sqlstate) == 5 else None
            places = np.array(numbers, np.int64)
            rows, lines = batch.rows[places].tolist(), batch.lines[places].tolist()
            for number, row, line, message, file, raw in zip(
                numbers, rows, lines, messages, files, raws, strict=True
            ):
                error = RowError(row, line, kind, code, message, field, file, state, None, raw)
                if number in errors:
                    errors[number].append(error)
                else:
                    errors[number] = [error]
            refused.update(numbers)
        return refused

    def _with_objections(self, found: Iterable[Any], numbers: Iterable[int]) -> list[Any]:
        """What ``explain`` found and the objections, which go before PostgreSQL's own where a field has both."""
        objected = {
            (self._first_field + each.place, number): each
            for number in numbers
            for each in self._arranged.objections.to(number)
            if each.place is not None
        }
        merged = [
            (place, sqlstate, [number], [message], [value])
            for place, sqlstate, *bad in found
            for number, message, value in zip(*bad, strict=True)
            if (place, number) not in objected
        ]
        merged += [(at[0], each.reason, [at[1]], [each.message], [""]) for at, each in objected.items()]
        return sorted(merged, key=itemgetter(0))

    def _refuse_objects(self, numbers: Iterable[int]) -> set[int]:
        """Records that are objected to as a whole, or for fields of which nothing worse is known."""
        found: set[int] = set()
        for number in numbers:
            known = {error.field for error in self._errors.get(number, ())}
            for each in self._arranged.objections.to(number):
                if each.place is None and (each.field is None or self._field_name(each.field) not in known):
                    self._object(number, each)
                    found.add(number)
        return found

    def _object(self, number: int, objection: Objection) -> None:
        kind, code = classify(objection.reason)
        name = objection.field
        is_column = any(column.name == name for column in self._mapping.columns)
        names = [name] if name is not None and is_column else []
        self._add(number, kind, code, objection.message, None, None, names, name)

    def _null(self, place: int) -> tuple[str, str]:
        column = self._mapping.columns[place]
        if column in self._mapping.key:
            return "key_is_null", f"{column.name} is part of the key and must not be null"
        return "null_not_allowed", f"{column.name} must not be null"

    def _field_name(self, column_name: str) -> str:
        """What the file calls a column."""
        field = self._mapping.field_of(column_name)
        return column_name if field is None else field.source_name

    def refuse_row(
        self,
        number: int,
        sqlstate: str,
        message: str | None = None,
        constraint_name: str | None = None,
        column_name: str | None = None,
    ) -> None:
        """The row as a whole, or a constraint's part of it, is refused by the database."""
        kind, code = classify(sqlstate)
        names: Sequence[str] = ()
        if sqlstate == "23502" and column_name:
            self._require_known(column_name)
            message = f"{column_name} must not be null"
        if sqlstate == "exists":
            names = [column.name for column in self._mapping.key]
            message = f"a row with this key exists already: {self._shown(number, names)}"
        elif constraint_name:
            names, message = self._by_constraint(number, constraint_name, message)
        elif column_name and any(column.name == column_name for column in self._mapping.columns):
            names = [column_name]
        is_state = len(sqlstate) == 5
        self._add(number, kind, code, message or code, sqlstate if is_state else None, constraint_name, names)

    def _require_known(self, column_name: str) -> None:
        """A column that began to refuse nulls while the job runs is no fault of the records."""
        column = next((each for each in self._target.columns if each.name == column_name), None)
        if column is None or not (column.is_not_null or column.refuses_null):
            raise TargetChanged(
                f"{self._target.name} has a column {column_name} that must not be null, which was not so when the "
                "job began; give it a default, then retry the job"
            )

    def _by_constraint(self, number: int, name: str, message: str | None) -> tuple[Sequence[str], str | None]:
        for key in self._target.foreign_keys:
            if key.name == name:
                return (
                    key.columns,
                    f"{self._shown(number, key.columns)}: there is no such row in {key.referenced_name}",
                )
        for check in self._target.checks:
            if check.name == name:
                return check.columns, f"the rule {name} refuses it: {check.expression}"
        for index in self._target.indexes:
            if index.name == name and index.is_plain:
                shown = self._shown(number, index.columns)
                return index.columns, f"another row has the same {shown}, which must be unique"
        return (), message

    def _shown(self, number: int, names: Sequence[str]) -> str:
        values = ", ".join(self._value(number, name) or "" for name in names)
        return f"({', '.join(names)}) = ({values})"

    def _value(self, number: int, column_name: str) -> str | None:
        """A column's value as it stood in the file, or the constant."""
        field = self._mapping.field_of(column_name)
        if field is None:
            return self._leading(number, column_name)
        batch = self._arranged.original
        if field.position:
            start = int(batch.field_ends[number, field.position - 1]) + 1
        else:
            start = int(batch.ends[number - 1]) if number else 0
        return decode_field(batch.data[start : int(batch.field_ends[number, field.position])], batch.dialect).text

    def _leading(self, number: int, column_name: str) -> str | None:
        """What stands before the record for a column, but for the time."""
        names = [column.name for column in self._mapping.columns[: self._first_field]]
        return dict(zip(names, self._arranged.prefix.texts(number, None), strict=True)).get(column_name)

    def _add(  # noqa: PLR0917  in the order of an error's fields
        self,
        number: int,
        kind: ErrorType,
        code: str,
        message: str,
        sqlstate: str | None,
        constraint_name: str | None,
        names: Sequence[str],
        field: str | None = None,
    ) -> None:
        batch = self._arranged.original
        if names:
            raw = ", ".join(self._value(number, name) or "" for name in names)
        else:
            raw = self._arranged.raw(number).decode(batch.dialect.codec, "replace")
        fields = [self._field_name(name) for name in names]
        self._errors.setdefault(number, []).append(
            RowError(
                row_number=int(batch.rows[number]),
                line_number=int(batch.lines[number]),
                error_type=kind,
                code=code,
                message=message,
                field=", ".join(fields) or field,
                file=batch.file_of(number),
                sqlstate=sqlstate,
                constraint_name=constraint_name,
                raw_data=raw[:RAW_DATA_CHARACTERS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}"),
            )
        )

    def places(self) -> list[int]:
        """The places of all refused records among those of the batch, from 1, ascending."""
        batch = self._arranged.original
        if not self._errors and not batch.refused:
            return []
        own = np.array(sorted(self._errors), np.int64)
        found: list[int] = []
        before = taken = refused = 0
        for span in batch.spans:
            within = own[np.searchsorted(own, taken) : np.searchsorted(own, span.stop)]
            rows = batch.rows[within].tolist()
            rows += [record.row_number for record in batch.refused[refused : span.refused_stop]]
            found += [before + row - span.first_row + 1 for row in sorted(rows)]
            before, taken, refused = before + span.record_count, span.stop, span.refused_stop
        return found

    def errors(self) -> list[RowError]:
        """Every reason, by file and row."""
        found = [self._of_reader(index) for index in range(len(self._arranged.original.refused))]
        for reasons in self._errors.values():
            found += reasons
        found.sort(key=itemgetter(0))
        return self._by_file(found, lambda error: error.file)

    def _by_file(self, found: list[T], file_of: Callable[[T], str | None]) -> list[T]:
        spans = self._arranged.original.spans
        if len(spans) > 1:
            places = {span.name: place for place, span in enumerate(spans)}
            found.sort(key=lambda each: places[file_of(each) or ""])
        return found

    def _of_reader(self, index: int) -> RowError:
        record = self._arranged.original.refused[index]
        text = record.raw[: RAW_DATA_CHARACTERS_MAX * 4].decode(self._arranged.original.dialect.codec, "replace")
        return RowError(
            row_number=record.row_number,
            line_number=record.line_number,
            error_type=ErrorType(record.error_type),
            code=record.code,
            message=record.message,
            field=record.field,
            file=self._arranged.original.file_of_refused(index),
            raw_data=text[:RAW_DATA_CHARACTERS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        )

    def rejects(self) -> list[RejectedRecord]:
        """The records themselves, by file and row, as far as there is room for them."""
        return self.records.write(self._errors)
