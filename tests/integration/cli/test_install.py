from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from jobd.cli import install
from jobd.settings import Settings
from tests.support.environment import without_settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def jobd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobd", *arguments],
        env=without_settings(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_files_are_printed_and_written_alike_and_name_this_program(tmp_path: Path) -> None:
    options = ("install", "--systemd", "--instance", "nightly", "--allow", "10.1.0.0/16", "--submitter-secret")
    printed = jobd(*options)
    assert printed.returncode == 0, printed.stderr
    written = jobd(*options, "--write", str(tmp_path))
    assert written.returncode == 0, written.stderr
    parts = printed.stdout.split("# --- /")[1:]
    assert parts
    for part in parts:
        path, text = part.split("\n", 1)
        assert (tmp_path / path).read_text() == text.removesuffix("\n")
    unit = (tmp_path / install.UNITS / "jobd@.service").read_text()
    assert f"ExecStart={install.program()} run\n" in unit
    assert install.EXAMPLE_PROGRAM not in unit
    network = tmp_path / install.DROP_INS / "30-network.conf"
    assert network.read_text() == "[Service]\nIPAddressAllow=10.1.0.0/16\n"
    assert (tmp_path / "etc/jobd/nightly.env").exists()
    assert "systemctl enable --now jobd.target jobd@nightly" in written.stderr
    assert "/etc/jobd/credentials/submitter-secret" in written.stderr


def test_settings_that_are_there_are_kept_and_units_are_replaced(tmp_path: Path) -> None:
    jobd("install", "--systemd", "--write", str(tmp_path))
    env_file, unit = tmp_path / "etc/jobd/main.env", tmp_path / install.UNITS / "jobd@.service"
    env_file.write_text("JOBD_QUEUES=mine\n")
    unit.write_text("of an older release\n")
    again = jobd("install", "--systemd", "--write", str(tmp_path))
    assert env_file.read_text() == "JOBD_QUEUES=mine\n"
    assert "ExecStart=" in unit.read_text()
    assert f"replaced  {unit}" in again.stdout
    assert f"kept      {env_file}" in again.stdout


def test_only_a_systemd_that_knows_them_gets_newer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = install.DROP_INS / "10-systemd-254.conf"
    for version, is_there in ((None, False), (252, False), (254, True), (257, True)):
        monkeypatch.setattr(install, "systemd_version", lambda version=version: version)
        paths = [file.path for file in install.files_of_systemd("main", [], with_secret=False)]
        assert (newer in paths) is is_there, version


def test_what_cannot_be_meant_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    for wrong, said in (
        (("install",), "--systemd"),
        (("install", "--systemd", "--allow", "db.internal"), "--allow db.internal"),
        (("install", "--systemd", "--instance", "../x"), "--instance"),
        (("install", "--systemd", "--environment", "no production"), "--environment"),
    ):
        refused = jobd(*wrong, "--write", str(tmp_path))
        assert refused.returncode == 2
        assert said in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_where_passwords_rotate_the_daemon_is_to_read_their_file_itself(tmp_path: Path) -> None:
    done = jobd("install", "--systemd", "--rotating", "--write", str(tmp_path))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / install.DROP_INS / "25-rotation.conf").read_text()
    assert "Environment=JOBD_DATABASE_URL_FILE=/etc/jobd/credentials/database-url" in text
    assert "chgrp jobd /etc/jobd/credentials" in done.stderr
    jobd("install", "--systemd", "--write", str(tmp_path / "plain"))
    assert not (tmp_path / "plain" / install.DROP_INS / "25-rotation.conf").exists()


def test_the_daemon_is_told_the_environment_that_the_database_was_told(tmp_path: Path) -> None:
    jobd("install", "--systemd", "--environment", "production", "--write", str(tmp_path))
    told = Settings.load(env_file=tmp_path / "etc/jobd/main.env", environment={})
    assert told.environment == "production"
    jobd("install", "--systemd", "--write", str(tmp_path / "untold"))
    untold = Settings.load(env_file=tmp_path / "untold/etc/jobd/main.env", environment={})
    assert untold.environment is None
