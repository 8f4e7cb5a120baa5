"""The README says what is true."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from jobd.cli.app import app
from tests.support import settings_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_settings_in_the_readme_are_those_of_the_daemon() -> None:
    assert settings_table.written() == settings_table.render(), "run: python -m tests.support.settings_table"


def test_every_link_of_the_readme_leads_to_a_file_of_the_repository() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_command_that_the_documents_name_exists() -> None:
    known = {str(command) for command in getattr(typer.main.get_command(app), "commands", ())}
    named = set()
    for document in (ROOT / "README.md", ROOT / "deploy" / "README.md", ROOT / "sql" / "README.md"):
        # At the beginning of a line of code or of an inline piece of it.
        named |= set(re.findall(r"(?:^|`|bin/)jobd ([a-z]+)(?=[ `;]|$)", document.read_text(), re.MULTILINE))
    assert {"migrate", "submit", "grant"} <= named
    assert named - known - PROSE == set()


# What follows "jobd" where a sentence's line begins with it.
PROSE = {"imports", "has", "is"}


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert {"demo", "test"} <= named
    assert named - targets == set()
