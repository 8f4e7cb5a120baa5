"""Draws dashboards with Grafana's own components in a Chromium without a screen."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.grafana.dashboards import ROOT, dashboards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE = Path(__file__).with_name("grafana")
PLACE = ROOT / ".venv" / "grafana"
PICTURES = PLACE / "pictures"
NPM_CI = ("npm", "ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund")
# As official types have them, but for enumerations, which JSON writes as the text that they stand for.
TYPED = """
import type { Dashboard } from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen';
type Plain<T> = T extends string ? `${T}` : T extends Array<infer U> ? Plain<U>[]
    : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
export const dashboard: Plain<Dashboard> = """


def obstacle() -> str | None:
    """Why nothing can be drawn here."""
    missing = [program for program in ("npm", "chromium") if shutil.which(program) is None]
    return f"{' and '.join(missing)} not on this machine" if missing else None


def build() -> None:
    """Install Grafana's components and the page that draws with them, unless that was done before."""
    PLACE.mkdir(exist_ok=True)
    files = sorted(SOURCE.iterdir())
    lock = [path for path in files if path.name.startswith("package")]
    _do_once("installed", lock, NPM_CI)
    _do_once("built", files, ("npx", "vite", "build"))


def complaints_of_the_types(uid: str) -> list[str]:
    """What TypeScript says against a dashboard. The words of an annotation are its data source's matter."""
    dashboard = json.loads(json.dumps(dashboards()[uid]))
    for annotation in dashboard["annotations"].get("list", []):
        for of_prometheus in ("expr", "titleFormat", "textFormat", "step"):
            annotation.pop(of_prometheus)
    (PLACE / "typed.ts").write_text(TYPED + json.dumps(dashboard, indent=1))
    strict = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "node")
    done = subprocess.run(
        ["npx", "tsc", *strict, "typed.ts"], cwd=PLACE, capture_output=True, text=True, check=False
    )
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


@dataclass(frozen=True)
class Studio:
    """Where the page is served, and answers are laid beside it."""

    port: int

    def lay(self, uid: str, answers: dict[str, Any], since: float, until: float) -> None:
        """Keep the answers to a dashboard's queries, by the ids of its panels."""
        folder = PLACE / "dist" / "answers"
        folder.mkdir(exist_ok=True)
        scene = {"dashboard": dashboards()[uid], "answers": answers, "from": since * 1000, "to": until * 1000}
        (folder / f"{uid}.json").write_text(json.dumps(scene))

    def draw(self, uid: str, directory: Path, theme: str = "dark") -> dict[str, Any]:
        """Draw it, keep a picture of it, and tell what is to be seen."""
        PICTURES.mkdir(exist_ok=True)
        bottom = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in dashboards()[uid]["panels"])
        url = f"http://127.0.0.1:{self.port}/?uid={uid}&theme={theme}"
        chromium = (
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", f"--user-data-dir={directory}", "--virtual-time-budget=30000",
            f"--window-size=1600,{bottom * 38 + 140}",
        )  # fmt: skip
        _run(*chromium, f"--screenshot={PICTURES / uid}-{theme}.png", url)
        page = _run(*chromium, "--dump-dom", url)
        found = re.search(r'<script type="application/json" id="report">(.*?)</script>', page, re.DOTALL)
        assert found is not None, page[-2000:]
        report: dict[str, Any] = json.loads(html.unescape(found[1]))
        return report


@contextlib.contextmanager
def studio() -> Iterator[Studio]:
    """Serve the page."""
    build()
    handler = functools.partial(_Quiet, directory=str(PLACE / "dist"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Studio(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def _do_once(stamp: str, files: Sequence[Path], command: Sequence[str]) -> None:
    """Run it with these files, unless that was done with the same."""
    content = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    done = PLACE / stamp
    if not done.exists() or done.read_text() != content:
        for path in files:
            shutil.copy(path, PLACE)
        _run(*command)
        done.write_text(content)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class named it
        pass


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=PLACE, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{' '.join(command[:3])}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
