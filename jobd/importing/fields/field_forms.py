"""Which form each field has, by the job's options and the type of its column."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jobd.errors import OptionError
from jobd.importing.fields.candidates import brackets, json_like, strings, surrounded
from jobd.importing.fields.forms.arrays import JSON_TYPES, ArrayForm
from jobd.importing.fields.forms.booleans import BOOLEAN_TYPE, BooleanForm
from jobd.importing.fields.forms.dates import DATE_KINDS, date_form
from jobd.importing.fields.forms.form import trimmed
from jobd.importing.fields.forms.json_text import CompositeForm, json_string
from jobd.importing.fields.forms.numbers import NUMBER_TYPES, WHOLE_TYPES, NumberForm
from jobd.importing.fields.stated import Stated, stated_by_field
from jobd.importing.fields.values import FieldForm, FieldForms

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobd.importing.fields.candidates import Candidates
    from jobd.importing.fields.forms.form import Form
    from jobd.importing.fields.mapping import FieldMapping, MappedField
    from jobd.importing.target import TargetColumn
    from jobd.model.option_values import PerColumn
    from jobd.model.options import ImportOptions

T = TypeVar("T")


def field_forms(options: ImportOptions, mapping: FieldMapping, *, is_typed: bool) -> FieldForms:
    """The forms of an import; raises OptionError for what cannot be meant."""
    trim = stated_by_field("trim", options.trim, mapping, options)
    choice = _Choice(options, mapping, is_typed=is_typed)
    before, after = [], []
    for place, each in enumerate(mapping.fields):
        is_text = each.column.is_text
        if trim.at(place):
            before.append(FieldForm(place=place, form=trimmed, is_text=is_text, candidates=surrounded))
        form, candidates = choice.form(place, each), None
        if form is None or each.column.element_type is not None:
            form, candidates = _by_type(each.column, form, is_typed=is_typed)
        if form is not None:
            after.append(FieldForm(place=place, form=form, is_text=is_text, candidates=candidates))
    return FieldForms(before=tuple(before), after=tuple(after))


def _by_type(
    column: TargetColumn, of_elements: Form | None, *, is_typed: bool
) -> tuple[Form | None, Candidates | None]:
    """The form that a column's type asks for."""
    if column.element_type is not None:
        return ArrayForm(column.element_type, of_elements), brackets if of_elements is None else json_like
    if column.is_composite:
        return CompositeForm(column.type_name), json_like
    if is_typed and column.base_type in JSON_TYPES:
        return json_string, strings
    return None, None


def _type_of_values(column: TargetColumn) -> str:
    """The type of a column, of an array that of its elements."""
    return column.element_type or column.base_type


class _Choice:
    """Chooses the form that follows from the options."""

    def __init__(self, options: ImportOptions, mapping: FieldMapping, *, is_typed: bool) -> None:
        self._options = options
        self._mapping = mapping
        self._is_typed = is_typed
        boolean = {BOOLEAN_TYPE}
        self._decimal = self._stated("decimal", options.decimal, NUMBER_TYPES, "number")
        self._thousands = self._stated("thousands", options.thousands, NUMBER_TYPES, "number")
        self._true = self._stated("true_values", options.true_values, boolean, "boolean")
        self._date_format = self._stated("date_format", options.date_format, DATE_KINDS, "date or time")
        self._false = self._stated("false_values", options.false_values, boolean, "boolean")

    def form(self, place: int, each: MappedField) -> Form | None:
        """The form of a field, or of the elements of an array; None: PostgreSQL's own."""
        type_name = _type_of_values(each.column)
        # JSON writes numbers and truth values of arrays in one way, wherever they stand.
        is_typed = self._is_typed or each.column.element_type is not None
        if type_name in NUMBER_TYPES:
            decimal, thousands = self._decimal.at(place), self._thousands.at(place)
            if decimal is not None or thousands is not None:
                return NumberForm(decimal, thousands, is_whole=type_name in WHOLE_TYPES, is_typed=is_typed)
        if type_name == BOOLEAN_TYPE:
            true, false = self._true.at(place), self._false.at(place)
            if true is not None or false is not None:
                return BooleanForm(true, false, is_typed=is_typed)
        kind = DATE_KINDS.get(type_name)
        date_format = self._date_format.at(place)
        if kind is not None and date_format is not None:
            is_named = place in self._date_format.by_place
            return date_form(date_format, kind, each.column.name, is_named=is_named)
        return None

    def _stated(self, name: str, value: PerColumn[T] | None, types: Collection[str], kind: str) -> Stated[T]:
        """What is stated; a column that is named must be of a fitting type."""
        stated = stated_by_field(name, value, self._mapping, self._options)
        for place in stated.by_place:
            column = self._mapping.fields[place].column
            if _type_of_values(column) not in types:
                raise OptionError(
                    f"option {name} names column {column.name}, which is {column.type_name}, no {kind} column"
                )
        return stated
