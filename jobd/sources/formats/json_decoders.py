"""The decoder validates each record and says where the values of the wanted keys lie, without building them.

Of a key that occurs twice in a record the last counts.
"""

from __future__ import annotations

import re
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import astuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobd.sources.formats.json_csv import Values

MISSING = msgspec.Raw(b"")
_PAIRS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUES = msgspec.json.Decoder(list[msgspec.Raw])
_SURROGATE_PAIRS = re.compile(rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

pairs = _PAIRS.decode
values_of = _VALUES.decode


def decoders(
    keys: Sequence[str], *, is_strict: bool
) -> tuple[Callable[[bytes], Values], Callable[[bytes], list[Values]]]:
    """How to get the values in the order of the keys: of one record, and of many that follow each other.

    ``is_strict``: a key that is not among them is a ``msgspec.ValidationError``. Records may follow each other in
    any way; where they are not all plain objects, the number of what is found may differ from that of the records.
    """
    names = {f"field_{index}": key for index, key in enumerate(keys)}
    try:
        record = msgspec.defstruct(
            "Record",
            [(name, msgspec.Raw, MISSING) for name in names],
            rename=names,
            forbid_unknown_fields=is_strict,
            gc=False,
        )
    except ValueError:
        return _slow_decoders(keys, is_strict=is_strict)
    decoder = msgspec.json.Decoder(record)
    return lambda one: astuple(decoder.decode(one)), lambda text: list(map(astuple, decoder.decode_lines(text)))


def _slow_decoders(
    keys: Sequence[str], *, is_strict: bool
) -> tuple[Callable[[bytes], Values], Callable[[bytes], list[Values]]]:
    """Keys with quotes or control characters cannot be fields of a struct."""
    known = frozenset(keys)

    def values(found: dict[str, msgspec.Raw]) -> Values:
        if is_strict and len(found) > len(known.intersection(found)):
            raise msgspec.ValidationError("unknown key")
        return tuple(map(found.get, keys, repeat(MISSING)))

    return lambda one: values(pairs(one)), lambda text: list(map(values, _PAIRS.decode_lines(text)))


def has_lone_surrogate(record: bytes) -> bool:
    r"""Whether an escape stands for half a character, as ``\ud800`` alone does."""
    return _SURROGATE.search(_SURROGATE_PAIRS.sub(b"", record)) is not None
