"""Which columns say which row a record is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import OptionError, TargetError
from jobd.importing.fields.names import TargetNames

if TYPE_CHECKING:
    from jobd.importing.target import Target, TargetColumn
    from jobd.model.options import ImportOptions


def key_of(
    mapped: set[str], target: Target, options: ImportOptions
) -> tuple[tuple[TargetColumn, ...], str | None]:
    """The key's columns and the name of their index; neither where every record is added.

    ``mapped``: the columns that the file and the constants fill.
    """
    plain = [index for index in target.indexes if index.is_plain]
    if options.key is None:
        primary = next((index for index in plain if index.is_primary), None)
        if primary is None or not mapped.issuperset(primary.columns):
            return (), None
        return tuple(target.column(name) for name in primary.columns), primary.name
    if not options.key:
        return (), None
    columns = TargetNames(target)
    key = []
    for name in options.key:
        column = columns.find(name)
        if column is None:
            raise TargetError(
                f"option key: {target.name} has no column {name}{columns.near(name)}", code="unknown_column"
            )
        if column.name not in mapped:
            raise TargetError(
                f"the key column {column.name} is missing: neither the file nor constants fill it",
                code="missing_column",
            )
        key.append(column)
    names = {column.name for column in key}
    index = next((each for each in plain if set(each.columns) == names), None)
    if index is None:
        there = "; ".join(f"({', '.join(each.columns)})" for each in plain) or "none"
        raise OptionError(
            f"option key: ({', '.join(options.key)}) is no unique, non-partial, non-deferrable index of "
            f"{target.name}; there are: {there}. Create one, or name one of these",
            code="key_not_unique",
        )
    return tuple(key), index.name
