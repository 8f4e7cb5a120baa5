"""jobd as a service of the box: installed from its wheel, with the units that `jobd install` writes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.ops.box import Box
    from tests.ops.scene import Scene

ROOT = Path(__file__).parents[2]
SITE = f"/opt/jobd/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
ROUTINES = "ops_routines"


def install(box: Box) -> None:
    """Build the wheel, install it into /opt/jobd of the box, and have it write its units."""
    from hatchling.builders.wheel import WheelBuilder  # noqa: PLC0415  only this builds

    wheel = Path(next(WheelBuilder(str(ROOT)).build(directory=str(box.exchange), versions=["standard"])))
    python = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    box.run(python, "-m", "venv", "--without-pip", "/opt/jobd")
    # The dependencies are those that the tests run with; only jobd itself comes from the wheel.
    box.write(f"{SITE}/dependencies.pth", "/opt/dependencies\n")
    pip = ["/opt/jobd/bin/python", "/opt/dependencies/pip", "install", "--quiet", "--no-index", "--no-deps"]
    box.run(*pip, "--ignore-installed", "--no-warn-script-location", f"/opt/exchange/{wheel.name}")
    box.write(f"{SITE}/{ROUTINES}.py", (ROOT / "tests" / "ops" / "routines.py").read_text())
    box.write(f"{SITE}/ops_crash.py", "import os\nos._exit(3)\n")
    box.run("/opt/jobd/bin/jobd", "install", "--systemd", "--write", "/")
    box.run("systemd-sysusers")
    box.run("install", "-d", "/srv/in")
    box.run("ln", "-sf", "/opt/jobd/bin/jobd", "/usr/local/bin/jobd")
    box.run("systemctl", "daemon-reload")


@dataclass
class Service:
    """One daemon of the box, `jobd@NAME`."""

    box: Box
    name: str

    @property
    def unit(self) -> str:
        return f"jobd@{self.name}.service"

    def configure(self, url: str, *, unit: str = "", **settings: object) -> None:
        """Give it a database, its settings, and shorter times than a unit should have."""
        self.box.write("/etc/jobd/credentials/database-url", url, "0600")
        self.set(**settings)
        self.box.write(f"/etc/systemd/system/{self.unit}.d/test.conf", f"[Service]\nRestartSec=0.2\n{unit}\n")
        self.box.run("systemctl", "daemon-reload")

    def set(self, **settings: object) -> None:
        """Write its settings anew."""
        values = {
            "import_roots": "/srv/in",
            "metrics_listen": "127.0.0.1:0",
            "handlers": ROUTINES,
            "sample_seconds": 0.5,
            **settings,
        }
        text = "".join(f"JOBD_{name.upper()}={value}\n" for name, value in values.items())
        self.box.write(f"/etc/jobd/{self.name}.env", text)

    def systemctl(self, verb: str, *options: str) -> None:
        self.box.run("systemctl", *options, verb, self.unit)

    def says(self, *texts: str, within: float = 30.0) -> str:
        """Wait until its status line holds one of these."""
        return self.box.until(self.unit, "StatusText", *texts, within=within)

    def property(self, name: str) -> str:
        return self.box.property(self.unit, name)

    def remove(self) -> None:
        """Stop it and forget it."""
        self.box.tried("systemctl", "kill", "--signal=KILL", self.unit)
        self.box.tried("systemctl", "stop", self.unit)
        self.box.tried("systemctl", "reset-failed", self.unit)


class BoxScene(NamedTuple):
    """Where a drill happens whose daemon is a service."""

    scene: Scene
    daemon: Service
