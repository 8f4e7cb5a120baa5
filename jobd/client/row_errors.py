"""A job's refused records, as the exceptions that say why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from jobd.errors import DuplicateError, ParseError, RowRefused, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_TYPE: dict[str, type[RowRefused]] = {
    kind.error_type: kind for kind in (ParseError, ValidationError, DuplicateError, RowRefused)
}
# As ``importing.alone_statements`` words it.
_SIMILAR = re.compile(r"the row (\{.*\}): similarity ([0-9.]+)$")


def exception_of(row: Mapping[str, Any]) -> RowRefused:
    """The exception for one row of ``jobd.job_error``."""
    kind = _BY_TYPE.get(row["error_type"], RowRefused)
    values = {
        "code": row["code"],
        "row": row["row_number"],
        "line": row["line_number"],
        "field": row["field"],
        "raw_data": row["raw_data"],
    }
    if row["code"] == "similar" and (found := _SIMILAR.search(row["message"])):
        key: dict[str, object] = orjson.loads(found[1])
        return DuplicateError(row["message"], **values, existing_key=key, similarity=float(found[2]))
    if kind is DuplicateError and row["field"] is not None:
        return DuplicateError(row["message"], **values, existing_key=_key(row["field"], row["raw_data"]))
    return kind(row["message"], **values)


def _key(field: str, raw_data: str | None) -> dict[str, object]:
    """What was refused as there already is the key of the row that is; several columns are set off by commas."""
    names, texts = field.split(", "), (raw_data or "").split(", ")
    if len(names) != len(texts):  # a value has a comma of its own
        return {field: raw_data}
    return dict(zip(names, texts, strict=True))
