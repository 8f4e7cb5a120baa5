"""Writes the dashboards as the files that Grafana imports."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from .daemon import DAEMON
from .imports import IMPORTS
from .overview import OVERVIEW
from .postgresql import POSTGRESQL

FOLDER = Path(__file__).with_name("dashboards")
PAGES = (OVERVIEW, IMPORTS, DAEMON, POSTGRESQL)


def texts() -> dict[str, str]:
    """The content of each file, by its name."""
    return {
        f"{page.uid}.json": json.dumps(page.build(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
        for page in PAGES
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
