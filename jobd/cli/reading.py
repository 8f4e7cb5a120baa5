"""How a job reads its source and where its fields go, as it was decided at the first start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FORMATS = {"csv": "CSV", "json": "JSON", "jsonl": "JSON Lines", "text": "text", "xlsx": "workbook"}
_SIGNS = {"\t": "tab", " ": "blank", ",": "comma", ";": "semicolon", "|": "bar"}
_NAMES_SHOWN_MAX = 12


def reading_lines(detected: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Label and text of each line; none before the first start."""
    source, target = (detected or {}).get("source"), (detected or {}).get("target")
    if source:
        yield "read as", ", ".join(_traits(source))
        if header := source.get("header"):
            yield "columns", _listed(header)
    if target:
        moved = [f"{field} → {column}" for _, field, column in target.get("fields", ()) if field != column]
        if moved:
            yield "mapped", _listed(moved)
        yield "key", ", ".join(target.get("key") or ()) or "none: every row is added"


def _traits(source: Mapping[str, Any]) -> Iterator[str]:
    kind = source.get("format", "")
    yield _FORMATS.get(kind, kind)
    if source.get("is_mended"):
        yield "refused records that were mended"
    if source.get("sheet"):
        yield f"sheet {source['sheet']}"
    shape = source.get("shape") or {}
    if kind == "csv" and shape:
        yield f"delimiter {_sign(shape['delimiter'])}"
        if chr(shape["quote"]) != '"':
            yield f"quote {_sign(shape['quote'])}"
        if shape["escape"] != shape["quote"]:
            yield f"escape {_sign(shape['escape'])}"
    if source.get("encoding"):
        yield source["encoding"].upper()
    if source.get("compression"):
        yield source["compression"]
    if source.get("data_line", 1) > 2:
        yield f"first record on line {source['data_line']}"


def _sign(code: int) -> str:
    character = chr(code)
    return _SIGNS.get(character) or (character if character.isprintable() else f"0x{code:02x}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN_MAX])
    return shown if len(names) <= _NAMES_SHOWN_MAX else f"{shown} … ({len(names)} in all)"
