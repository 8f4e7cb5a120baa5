"""A Prometheus and an Alertmanager of the test's own, with jobd's files, where a second is a minute."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import yaml

from jobd.db.embedded import free_port
from tests.ops.durations import quicker_file, seconds, shorter
from tests.prometheus.case import FOLDER, RULES, alerts
from tests.support import programs
from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FACTOR = 60
# A daemon answers in real time.
INTERVAL = "1s"
# Prometheus' own defaults, which are divided as everything else is.
LOOKBACK, RESEND = "5m", "1m"
EXAMPLE_RECEIVER = "http://localhost:9099"
WITHIN_SECONDS = 120.0


class Notice(NamedTuple):
    """What a receiver was told of an alert."""

    receiver: str
    status: str
    labels: dict[str, str]


@dataclass
class Alarm:
    """What Prometheus and Alertmanager say, and what the receivers were told."""

    directory: Path
    prometheus: str
    alertmanager: str
    factor: int
    notices: list[Notice] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)

    def watch(self, *ports: int) -> None:
        """Scrape the daemons at these ports from now on."""
        targets = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        new = self.directory / "targets.new"
        new.write_text(json.dumps(targets))
        new.replace(self.directory / "targets.json")

    async def ask(self, url: str, **parameters: str) -> Any:
        """The answer of an API; None while it does not answer yet."""

        def fetch() -> Any:
            whole = f"{url}?{urllib.parse.urlencode(parameters)}"
            try:
                with urllib.request.urlopen(whole, timeout=5) as answer:  # noqa: S310  loopback
                    return json.load(answer)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return None

        return await anyio.to_thread.run_sync(fetch)

    async def found(self, path: str, **parameters: str) -> Any:
        """What Prometheus's API gives for a path; None while it does not answer, or refuses."""
        answer = await self.ask(f"{self.prometheus}/{path}", **parameters)
        return None if answer is None else answer["data"]

    async def value(self, query: str) -> float | None:
        """What an expression is now; None where it is nothing."""
        answer = await self.ask(f"{self.prometheus}/query", query=query)
        result = answer["data"]["result"] if answer else []
        return float(result[0]["value"][1]) if result else None

    async def sees(self, query: str, within: float = 60.0) -> None:
        """Wait until an expression has a value."""
        await until(lambda: self.value(query), lambda seen: seen is not None, within)

    async def are_up(self, number: int = 1) -> None:
        """Wait until so many daemons are scraped."""
        await self.sees(f"sum(up == 1) >= {number}")

    async def firing(self, alert: str, labels: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Alerts of this name, with these labels, that fire."""
        answer = await self.ask(f"{self.prometheus}/alerts")
        return [
            each
            for each in (answer["data"]["alerts"] if answer else [])
            if each["state"] == "firing" and _fits(each["labels"], alert, labels)
        ]

    async def fires(
        self, alert: str, labels: dict[str, str] | None = None, within: float = WITHIN_SECONDS
    ) -> dict[str, Any]:
        """Wait until it was pending, fires, and its receiver knows."""
        fired = await self._fires(alert, within, labels)
        receiver = f"/{fired['labels']['severity']}"
        await until(lambda: self._told(alert, "firing", labels), within=30)
        assert {notice.receiver for notice in await self._told(alert, "firing", labels)} == {receiver}
        return fired

    async def fires_unsaid(
        self, alert: str, labels: dict[str, str] | None = None, within: float = WITHIN_SECONDS
    ) -> dict[str, Any]:
        """Wait until it fires, and Alertmanager keeps it back as it follows from another alert."""
        fired = await self._fires(alert, within, labels)

        async def kept_back() -> list[Any]:
            active = await self.ask(f"{self.alertmanager}/alerts")
            return [each for each in active or () if _fits(each["labels"], alert, labels) and _is_kept_back(each)]

        await until(kept_back, within=30)
        return fired

    async def ends(self, alert: str, labels: dict[str, str] | None = None, within: float = WITHIN_SECONDS) -> None:
        """Wait until it fires no more, in both, and its receiver knows; it did not end in between."""
        await until(lambda: self.firing(alert, labels), lambda seen: not seen, within=within)
        was_told = await self._told(alert, "firing", labels)
        if was_told:
            await until(lambda: self._told(alert, "resolved", labels), within=30)
        await until(lambda: self._active(alert, labels), lambda seen: not seen, within=30)
        ends = await self._told(alert, "resolved", labels)
        assert len({str(notice.labels) for notice in ends}) == len(ends), f"{alert} ended more than once: {ends}"
        self.over.add(alert)

    async def is_silent(self, alert: str) -> None:
        """It does not fire just now."""
        assert await self.firing(alert) == []

    async def _fires(self, alert: str, within: float, labels: dict[str, str] | None) -> dict[str, Any]:
        fired = (await until(lambda: self.firing(alert, labels), within=within))[0]
        if seconds(alerts()[alert].get("for", "0s")) / self.factor >= 2 * seconds(INTERVAL):
            await self.sees(f'count_over_time(ALERTS{{alertname="{alert}",alertstate="pending"}}[10m])')
        self.seen.add(alert)
        return fired

    async def _told(self, alert: str, status: str, labels: dict[str, str] | None) -> list[Notice]:
        return [each for each in self.notices if each.status == status and _fits(each.labels, alert, labels)]

    async def _active(self, alert: str, labels: dict[str, str] | None) -> list[Any]:
        found = await self.ask(f"{self.alertmanager}/alerts", active="true")
        return [each for each in found or () if _fits(each["labels"], alert, labels)]


@contextlib.contextmanager
def alarm(directory: Path, *, factor: int = FACTOR, interval: str = INTERVAL) -> Iterator[Alarm]:
    """Both, with the files of deploy/prometheus, so many times as quick; nothing is scraped yet.

    A scrape is made every ``interval`` at most, and may take as long.
    """
    prometheus, alertmanager = programs.need("prometheus"), programs.need("prometheus-alertmanager")
    notices: list[Notice] = []
    ports = free_port(), free_port()
    with _receivers(notices) as receiver, contextlib.ExitStack() as stack:
        _configure(directory, factor, interval, alertmanager_port=ports[1], receiver_port=receiver)
        stack.enter_context(
            _program(
                directory / "alertmanager.log",
                alertmanager,
                f"--config.file={directory / 'alertmanager.yml'}",
                f"--storage.path={directory / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{ports[1]}",
                "--cluster.listen-address=",
            )
        )
        stack.enter_context(
            _program(
                directory / "prometheus.log",
                prometheus,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'series'}",
                f"--web.listen-address=127.0.0.1:{ports[0]}",
                f"--query.lookback-delta={shorter(LOOKBACK, factor)}",
                f"--rules.alert.resend-delay={shorter(RESEND, factor)}",
            )
        )
        urls = f"http://127.0.0.1:{ports[0]}/api/v1", f"http://127.0.0.1:{ports[1]}/api/v2"
        yield Alarm(directory, *urls, factor, notices)


def _configure(directory: Path, factor: int, interval: str, *, alertmanager_port: int, receiver_port: int) -> None:
    quicker = partial(quicker_file, factor=factor)
    rules = yaml.safe_load(RULES.read_text())
    (directory / RULES.name).write_text(yaml.safe_dump(quicker(rules)))
    config = quicker(yaml.safe_load((FOLDER / "prometheus.yml").read_text()), at_least=interval)
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]
    del config["scrape_configs"][0]["static_configs"]
    config["scrape_configs"][0]["file_sd_configs"] = [{"files": [str(directory / "targets.json")]}]
    (directory / "targets.json").write_text("[]")
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    text = (FOLDER / "alertmanager.yml").read_text()
    assert EXAMPLE_RECEIVER in text
    routes = quicker(yaml.safe_load(text.replace(EXAMPLE_RECEIVER, f"http://127.0.0.1:{receiver_port}")))
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(routes))


@contextlib.contextmanager
def _program(log_path: Path, *command: object) -> Iterator[None]:
    with log_path.open("wb") as log:
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _receivers(notices: list[Notice]) -> Iterator[int]:
    """Whoever is told: the path says which of the receivers of alertmanager.yml it is. Gives the port."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            notices.extend(Notice(self.path, each["status"], each["labels"]) for each in told["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _fits(labels: dict[str, str], alert: str, wanted: dict[str, str] | None) -> bool:
    return labels["alertname"] == alert and (wanted or {}).items() <= labels.items()


def _is_kept_back(alert: dict[str, Any]) -> bool:
    return bool(alert["status"]["inhibitedBy"])
