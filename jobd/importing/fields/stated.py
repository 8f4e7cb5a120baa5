"""Options that may differ from column to column: what is stated for each of the file's fields."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from jobd.errors import OptionError
from jobd.importing.fields.names import listed, normal

if TYPE_CHECKING:
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.model.option_values import PerColumn
    from jobd.model.options import ImportOptions

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated(Generic[T]):
    """One option: ``general`` for all fields, or ``by_place`` for those that are named."""

    general: T | None
    by_place: Mapping[int, T]

    def at(self, place: int) -> T | None:
        """What is stated for a field; None: nothing."""
        return self.by_place.get(place, self.general)


def stated_by_field(
    name: str, value: PerColumn[T] | None, mapping: FieldMapping, options: ImportOptions
) -> Stated[T]:
    """An option's value by the places of the fields; raises OptionError for a name that is no column.

    A name is one of the file's, or else one of the target's. Columns that the file may lack may be named too.
    """
    if not isinstance(value, Mapping):
        return Stated(general=value, by_place={})
    sources = {normal(each.source_name): place for place, each in enumerate(mapping.fields)}
    columns = {normal(each.column.name): place for place, each in enumerate(mapping.fields)}
    lacking = {normal(each) for each in (*options.optional, *options.columns)}
    by_place = {sources[normal(column)]: stated for column, stated in value.items() if normal(column) in sources}
    for column, stated in value.items():
        form = normal(column)
        if form in sources:
            continue
        place = columns.get(form)
        if place is not None and place not in by_place:
            by_place[place] = stated
        elif place is not None and form not in lacking:
            raise OptionError(f"option {name} names column {column} twice, by its names in file and target")
        elif place is None and form not in lacking:
            raise OptionError(
                f"option {name} names {column}, which is no column of the file{_near(form, mapping)}. "
                f"Its columns: {listed([each.source_name for each in mapping.fields])}"
            )
    return Stated(general=None, by_place=by_place)


def _near(form: str, mapping: FieldMapping) -> str:
    names = {normal(name): name for each in mapping.fields for name in (each.column.name, each.source_name)}
    found = difflib.get_close_matches(form, names, 3, 0.6)
    return f" (nearest: {', '.join(names[each] for each in found)})" if found else ""
