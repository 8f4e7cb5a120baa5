"""The Containerfile, as far as that can be tried without an engine: its steps are run, into another directory."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from typing import TYPE_CHECKING

from jobd.settings import PREFIX, Settings
from tests.support.containers import CONTAINERFILE, ROOT, instructions, of_kind
from tests.support.environment import without_settings

if TYPE_CHECKING:
    from pathlib import Path

BUILD, FINAL = 0, 1
# Steps that fetch, or that change the system; what they do is looked at elsewhere.
NOT_HERE = ("pip download", "install --quiet --no-index --find-links /wheels hatchling", "groupadd")
PIN = re.compile(r"^([a-z0-9._-]+==[^\s;]+)", re.MULTILINE)


def sources() -> list[str]:
    """What is copied from the checkout."""
    copies = [shlex.split(one.rest) for one in instructions() if one.word == "COPY" and "--from" not in one.rest]
    return [source for copy in copies for source in copy[:-1]]


def test_every_file_that_is_copied_is_tracked_and_not_kept_out() -> None:
    admitted = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sources()
    for source in sources():
        listing = subprocess.run(
            ["git", "ls-files", source], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert listing, f"{source} is not in the repository"
        assert any(fnmatch.fnmatch(source.split("/")[0], pattern) for pattern in admitted), source


def test_the_image_is_of_a_pinned_base_without_what_built_it() -> None:
    (argument,) = [one.rest for one in instructions() if one.word == "ARG"]
    assert re.fullmatch(r"PYTHON_IMAGE=docker\.io/library/python:3\.\d+-slim-[a-z]+", argument)
    assert of_kind("FROM", BUILD) == ["${PYTHON_IMAGE} AS build"]
    assert of_kind("FROM", FINAL) == ["${PYTHON_IMAGE}"]
    assert of_kind("COPY", FINAL) == ["--from=build /opt/jobd /opt/jobd"]
    assert not re.search(r"\b(apt|apt-get|gcc|make|curl|wget|ADD)\b", " ".join(of_kind("RUN", FINAL)))
    assert "pip uninstall" in of_kind("RUN", FINAL)[0]


def test_the_image_runs_the_daemon_as_nobody_in_particular_and_stops_it_as_it_wants() -> None:
    (user,) = of_kind("USER", FINAL)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), "a number, which can be seen not to be root's"
    assert of_kind("STOPSIGNAL", FINAL) == ["SIGTERM"]
    by_word = {one.word: one for one in instructions()}
    assert by_word["ENTRYPOINT"].exec_form == ["/opt/jobd/bin/jobd"]
    assert by_word["CMD"].exec_form == ["run"]
    address = str(Settings.model_fields["metrics_listen"].default)
    assert f"http://{address}/healthz" in by_word["HEALTHCHECK"].exec_form[2]
    assert of_kind("EXPOSE", FINAL) == [address.rpartition(":")[2]]
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", CONTAINERFILE.read_text()))
    assert {name.removeprefix(PREFIX).lower() for name in named} <= set(Settings.model_fields)


def test_the_image_is_made_of_what_the_tests_ran_with() -> None:
    of_image = set(PIN.findall((ROOT / "deploy" / "container" / "requirements.lock").read_text()))
    assert of_image <= set(PIN.findall((ROOT / "requirements.lock").read_text())), "run: make lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (installed,) = re.findall(r"jobd\[([a-z0-9,]+)\]", CONTAINERFILE.read_text())
    assert set(installed.split(",")) == set(project["project"]["optional-dependencies"]) - {"dev"}
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["build"],
        *(name for extra in installed.split(",") for name in project["project"]["optional-dependencies"][extra]),
    ]
    names = {re.split(r"[\[<>=!~ ;]", requirement)[0].lower() for requirement in wanted}
    assert names <= {pin.partition("==")[0] for pin in of_image}


def test_the_steps_build_a_jobd_that_runs(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    for source in sources():
        place = tmp_path / "build" / source
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        elif "/" not in source:
            shutil.copy(ROOT / source, place)
    done = []
    for step in of_kind("RUN", BUILD):
        if not any(part in step for part in NOT_HERE):
            _run_step(step, tmp_path)
            done.append(step)
    assert len(done) == 3
    # The dependencies are those that the tests run with; the image has its own, by the hashes of its lock file.
    (site_packages,) = (tmp_path / "opt" / "jobd" / "lib").glob("python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    entry = {one.word: one for one in instructions()}["ENTRYPOINT"].exec_form
    told = subprocess.run(
        [f"{tmp_path}{entry[0]}", "run", "--help"],
        cwd=tmp_path, env=without_settings(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "JOBD_DATABASE_URL" in told.stdout
    assert (site_packages / "jobd" / "_sql" / "schema.sql").exists()


def _run_step(step: str, root: Path) -> None:
    """Run a step with its absolute paths below ``root``, without a network and without the dependencies."""
    words = [re.sub(r"^/(?=wheels|opt|build)", f"{root}/", word) for word in shlex.split(step)]
    words[0] = sys.executable if words[0] == "python" else words[0]
    if "install" in words:
        words.insert(words.index("install") + 1, "--no-deps")
    subprocess.run(words, cwd=root / "build", env=without_settings(), check=True, capture_output=True)
