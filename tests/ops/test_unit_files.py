"""The units by systemd's own measure, without running them."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from jobd.cli import install

if TYPE_CHECKING:
    from pathlib import Path

# systemd-analyze counts from 0 to 10, and takes its threshold times ten.
EXPOSURE_MAX = 1.2
# Since which release systemd knows what is set for newer ones ("Added in version" in systemd.service(5); the type
# in its notes on version 253).
SINCE = {"Type=notify-reload": 253, "ExecReload=": 0, "RestartSteps=5": 254, "RestartMaxDelaySec=30": 254}

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `jobd install --systemd` writes, for a program that exists."""
    monkeypatch.setattr(install, "program", lambda: "/bin/true")
    for file in install.files_of_systemd("main", ["10.0.0.0/8"], with_secret=True):
        (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.path).write_text(file.text)
    return tmp_path / install.UNITS


def analyze(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["systemd-analyze", *arguments], cwd=units, env=variables, capture_output=True, text=True, check=False
    )  # fmt: skip


def test_systemd_has_nothing_to_say_against_the_units(units: Path) -> None:
    verified = analyze(units, "verify", "./jobd@main.service", "./jobd.target", "./jobd.slice")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_service_is_exposed_as_little_as_was_promised(units: Path) -> None:
    (units / "jobd@.service.d" / "30-network.conf").unlink()  # judged as it is shipped
    threshold = f"--threshold={EXPOSURE_MAX * 10:.0f}"
    judged = analyze(units, "security", "--offline=true", "--no-pager", threshold, "./jobd@.service")
    assert judged.returncode == 0, judged.stdout
    assert "Overall exposure level" in judged.stdout


def test_what_is_for_newer_systemds_is_known_to_those_that_get_it() -> None:
    text = (install.directory() / "systemd" / "jobd@.service.d" / "10-systemd-254.conf").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "["))]
    assert lines == list(SINCE)
    assert max(SINCE.values()) == install.RELOADING_SINCE
