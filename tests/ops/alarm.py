"""A Prometheus of the test's own with jobd's rules, sixty times as quick: minutes are seconds."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import yaml

from jobd.db.embedded import free_port
from tests.prometheus.case import FOLDER, RULES
from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICKER = 60
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Alarm:
    """What Prometheus says at this port."""

    port: int

    async def ask(self, path: str, **parameters: str) -> Any:
        """The answer of Prometheus' API; None while it does not answer yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"

        def fetch() -> Any:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return json.load(answer)["data"]
            except (urllib.error.URLError, ConnectionError):
                return None

        return await anyio.to_thread.run_sync(fetch)

    async def is_up(self) -> bool:
        """Whether a daemon is scraped."""
        return bool(((await self.ask("query", query="up == 1")) or {"result": []})["result"])

    async def firing(self, alert: str) -> list[dict[str, Any]]:
        """Alerts of this name that fire."""
        found = (await self.ask("alerts") or {"alerts": []})["alerts"]
        return [each for each in found if each["labels"]["alertname"] == alert and each["state"] == "firing"]

    async def fires(self, alert: str) -> dict[str, Any]:
        """Wait until it fires."""
        return (await until(lambda: self.firing(alert), within=60))[0]

    async def is_silent(self, alert: str) -> None:
        """Wait until it does not fire."""
        await until(lambda: self.firing(alert), lambda seen: not seen, within=60)


@contextlib.contextmanager
def prometheus(program: Path, directory: Path, target: int) -> Iterator[Alarm]:
    """Prometheus with the example's configuration, which scrapes a daemon at this port."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    del config["alerting"]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    (directory / RULES.name).write_text(_quicker(RULES.read_text()))
    port = free_port()
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'series'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Alarm(port)
    finally:
        process.terminate()
        process.wait()


def _quicker(text: str) -> str:
    """The rules with shorter windows, and ages that are reached sooner."""
    rules = yaml.safe_load(text)
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = _shorter(rule["for"], at_least=1)
            windows = re.sub(r"\[(\w+)\]", lambda found: f"[{_shorter(found[1], at_least=5)}]", rule["expr"])
            rule["expr"] = re.sub(
                r"(_seconds\)+ [<>] )(\d+)", lambda found: f"{found[1]}{int(found[2]) / QUICKER}", windows
            )
    return str(yaml.safe_dump(rules))


def _shorter(duration: str, at_least: int) -> str:
    """A window must hold a few samples, whatever it is divided by."""
    return f"{max(at_least, int(duration[:-1]) * _SECONDS[duration[-1]] // QUICKER)}s"
