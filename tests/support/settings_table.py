"""The README's table of settings, made from the settings: ``python -m tests.support.settings_table`` writes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jobd.settings import PREFIX, Settings

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def render() -> str:
    """The table, one row a setting; the files that secrets may stand in are named beside them."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        if name.endswith("_file") or name == "test_point":
            continue
        variable = f"`{PREFIX}{name.upper()}`"
        if f"{name}_file" in Settings.model_fields:
            variable += ", `…_FILE`"
        lines.append(f"| {variable} | {_default(name, field.default)} | {field.description} |")
    return "\n".join(lines)


def written() -> str:
    """The table that the README holds."""
    return README.read_text().split(BEGIN, 1)[1].split(END, 1)[0].strip()


def write() -> None:
    """Put the table into the README."""
    before, rest = README.read_text().split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    README.write_text(f"{before}{BEGIN}\n{render()}\n{END}{after}")


def _default(name: str, value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if name == "instance":
        return "the host's name"
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        value = (os.pathsep if name.endswith("roots") else ",").join(str(part) for part in value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    write()
