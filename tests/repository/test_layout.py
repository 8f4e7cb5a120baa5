"""The repository keeps its promises to those who read it."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    "jobd",
    "sql",
    "deploy",
    "tests",
    "pyproject.toml",
    "requirements.lock",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
}
# Words the glossary replaces by one of ours, so that an idea has one name everywhere.
BANNED_FIRST_WORDS = re.compile(
    r"^\s*(?:async )?def (?:do|handle|process)_|^class (?:Do|Handle|Process)[A-Z]", re.MULTILINE
)
BANNED_NAMES = re.compile(r"(?:^|_)(?:task|chunk|checkpoint|reaper|manager|processor|helper|utils?)(?:_|$)")


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listing.splitlines() if (ROOT / name).exists()]


def test_the_top_level_holds_what_the_architecture_names_and_nothing_else() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_every_module_is_named_by_the_glossary() -> None:
    bad = [path for path in tracked_files() if path.suffix == ".py" and BANNED_NAMES.search(path.stem)]
    assert bad == []


def test_no_function_begins_with_a_word_that_says_nothing() -> None:
    bad = {
        str(path.relative_to(ROOT)): BANNED_FIRST_WORDS.findall(path.read_text())
        for path in tracked_files()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "jobd")
    }
    assert {name: words for name, words in bad.items() if words} == {}


def test_the_lock_file_names_no_host_and_pins_every_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = re.findall(r"^[a-z0-9._-]+==[^\s;]+", lock, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9._-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(pins) == len(blocks)
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_lock_file_holds_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *(name for extra in project["project"]["optional-dependencies"].values() for name in extra),
    ]
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    names = {re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    assert names <= locked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    from hatchling.builders.wheel import WheelBuilder  # noqa: PLC0415  only this test builds

    place = tmp_path_factory.mktemp("wheel")
    built = next(WheelBuilder(str(ROOT)).build(directory=str(place), versions=["standard"]))
    return zipfile.ZipFile(built)


def test_the_wheel_carries_every_sql_file(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    sql = [path.relative_to(ROOT / "sql") for path in (ROOT / "sql").rglob("*.sql")]
    assert sql
    assert {f"jobd/_sql/{path}" for path in sql} <= names


def test_the_wheel_carries_every_deployment_file(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    files = [path.relative_to(ROOT) for path in tracked_files() if path.is_relative_to(ROOT / "deploy")]
    assert files
    assert {f"jobd/_{path}" for path in files} <= names


def test_the_wheel_carries_the_package_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "jobd/__main__.py" in names
    assert not [name for name in names if name.startswith("tests/")]
