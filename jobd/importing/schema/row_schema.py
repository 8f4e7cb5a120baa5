"""The option schema: each row, as an object, held against a JSON Schema before it is sent.

The library keeps the interpreter to itself while it checks a row, so that nothing of it may take long: patterns
run on an engine without backtracking, references lead nowhere but into the schema, and the steps that a value may
take are bounded beforehand.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

from jobd.errors import OptionError
from jobd.importing.objections import SCHEMA, Objection
from jobd.importing.schema.row_objects import RowObjects
from jobd.importing.schema.schema_cost import SchemaCost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.fields.nulls import NullRule
    from jobd.importing.objections import Objections
    from jobd.sources import RecordBatch

SCHEMA_BYTES_MAX = 256 * 1024
PATTERN_BYTES_MAX = 1024 * 1024
VIOLATIONS_MAX = 10
MESSAGE_CHARACTERS_MAX = 500
RECORD_STEPS_MAX = 200_000_000


class RowSchema:
    """A schema, ready. Raises OptionError, saying where, for one that is none or that would take too long."""

    def __init__(self, schema: Mapping[str, Any] | bool, mapping: FieldMapping, *, is_json: bool) -> None:
        text = orjson.dumps(schema)
        if len(text) > SCHEMA_BYTES_MAX:
            raise OptionError(f"option schema is {len(text):,} bytes long; {SCHEMA_BYTES_MAX:,} are allowed")
        given = orjson.loads(text)
        cost = SchemaCost(given) if isinstance(given, dict) else None
        self._levels = cost.levels if cost else None
        self._record_bytes_max = RECORD_STEPS_MAX // max(1, cost.steps if cost else 1)
        self._validator = _validator(given)
        self._objects = RowObjects(mapping, is_json=is_json)

    def judge(self, ready: RecordBatch, rule: NullRule, original: RecordBatch, objections: Objections) -> None:
        """Object to the records of ``ready`` that do not meet the schema."""
        is_valid = self._validator.is_valid
        lengths = (ready.ends - ready.starts).tolist()
        for number, row in enumerate(self._objects.rows(ready, rule, original)):
            if lengths[number] > self._record_bytes_max:
                message = f"is too large to be held against the schema: more than {self._record_bytes_max:,} bytes"
                objections.add(number, Objection(None, SCHEMA, message))
            elif self._levels is not None and _is_deeper(row, self._levels):
                message = f"is too deep to be held against a schema that refers to itself: {self._levels} levels"
                objections.add(number, Objection(None, SCHEMA, message))
            elif not is_valid(row):
                for error in islice(self._validator.iter_errors(row), VIOLATIONS_MAX):
                    objections.add(number, _objection(error))


def _validator(schema: Any) -> Any:
    try:
        return jsonschema_rs.validator_for(
            schema,
            validate_formats=True,
            ignore_unknown_formats=False,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(
                size_limit=PATTERN_BYTES_MAX, dfa_size_limit=PATTERN_BYTES_MAX
            ),
        )
    except jsonschema_rs.ValidationError as error:
        hint = ""
        if error.instance_path and error.instance_path[-1] in {"pattern", "patternProperties"}:
            hint = " (patterns are regular expressions without look-around and back references, and not too large)"
        elif "etrieval is disabled" in error.message:
            hint = " (references are followed into the schema itself only)"
        raise OptionError(
            f"option schema is no JSON Schema{_place(error.instance_path)}: {_cut(error.message)}{hint}"
        ) from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise OptionError(f"option schema is no JSON Schema: {_cut(str(error))}") from error


def _objection(error: jsonschema_rs.ValidationError) -> Objection:
    path = error.instance_path
    field = path[0] if path else getattr(error.kind, "property", None)
    unexpected = getattr(error.kind, "unexpected", None)
    if field is None and unexpected:
        field = unexpected[0]
    return Objection(
        None,
        SCHEMA,
        _cut(f"{error.message}{_place(path)}"),
        field if isinstance(field, str) else None,
    )


def _place(path: list[str | int]) -> str:
    return " at /" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path) if path else ""


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARACTERS_MAX else text[: MESSAGE_CHARACTERS_MAX - 1] + "…"


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether there are more levels in a value than so many."""
    within = [value]
    for _ in range(levels + 1):
        within = [
            inner
            for each in within
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not within:
            return False
    return True
