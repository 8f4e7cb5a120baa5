"""Which columns of the target tell where a row came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import OptionError, TargetError
from jobd.importing.fields.names import TargetNames
from jobd.importing.fields.prefix import Origin

if TYPE_CHECKING:
    from jobd.importing.target import Target, TargetColumn
    from jobd.model.options import ImportOptions


def origin_columns(
    mapped: set[str], target: Target, options: ImportOptions
) -> tuple[tuple[Origin, TargetColumn], ...]:
    """The columns of option provenance, which are none of those that are ``mapped``, and no part of the key."""
    columns = TargetNames(target)
    keys = {column.name for name in options.key or () if (column := columns.find(name)) is not None}
    found: dict[Origin, TargetColumn] = {}
    for origin, name in options.provenance.items():
        column = columns.find(name)
        if column is None:
            raise TargetError(
                f"option provenance: {target.name} has no column {name}{columns.near(name)}", code="unknown_column"
            )
        if column.name in keys:
            raise OptionError(
                f"option provenance: column {column.name} is part of the key, by which a row is found wherever "
                "its record came from"
            )
        if column.name in mapped or column in found.values():
            raise OptionError(
                f"option provenance: column {column.name} is filled already, by the file, by constants or by "
                "another word of provenance"
            )
        found[Origin(origin)] = column
    return tuple((origin, found[origin]) for origin in Origin if origin in found)
