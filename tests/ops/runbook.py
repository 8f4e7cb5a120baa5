"""Somebody who was told of an alert and follows its page: what it says to run is run as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg

from tests.prometheus.case import ROOT
from tests.support import command, programs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ops.box import Box

PAGES = ROOT / "deploy" / "runbooks"
PLACEHOLDER = re.compile(r"\b(?:JOB_ID|PID|QUEUE|TARGET|REASON)\b")
EXAMPLE_PORT = ":9464"
EXAMPLE_URL_FILE = "/etc/jobd/credentials/database-url"
# What can be run without a systemd, by the package that has it.
NEEDED = {"curl": "curl", "pg_isready": "postgresql-client", "psql": "postgresql-client"}
# The only command that is for the owner of the schema.
MIGRATE = "jobd migrate"
# Of a line that looks at something: systemctl of a unit that is not active, grep and journalctl that find nothing,
# pg_isready and curl that nobody answers.
LOOKED = {0, 1, 2, 3, 7}
# What the command line gives back for a command that it does not know.
MISUSED = 2
_SECTION = re.compile(r"^## (\w+)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_NOT_ON_THE_HOST = (
    "command not found",
    "Unknown option",
    "unrecognized option",
    "invalid option",
    "Unknown command",
)


class Block(NamedTuple):
    """Something to run."""

    section: str
    language: str
    text: str


@dataclass
class Hands:
    """What somebody on call can run: statements as an operator, and commands on the daemon's host."""

    operator: asyncpg.Connection
    owner_url: str
    settings: dict[str, str]
    directory: Path
    port: int
    box: Box | None = None

    async def run(self, block: Block) -> Any:
        """The rows of a statement, or what a command printed."""
        if block.language == "sql":
            try:
                return await self.operator.fetch(block.text)
            except asyncpg.QueryCanceledError as hangs:  # where the operator does not wait for ever
                return hangs
        if block.language == "sh":
            return await (self._jobd(block.text) if self.box is None else self._jobd_in(self.box, block.text))
        return await self._on_host(block)

    async def _jobd(self, text: str) -> str:
        """With the daemon's settings."""
        said = ""
        for line in text.splitlines():
            program, *arguments = line.split()
            assert program == "jobd", line
            settings = self.settings | ({"JOBD_DATABASE_URL": self.owner_url} if line == MIGRATE else {})
            process = await command.start(
                *arguments, cwd=self.directory, stdout=asyncio.subprocess.PIPE, **settings
            )
            output, errors = await process.communicate()
            assert process.returncode != MISUSED, (line, output, errors)
            said += output.decode() + errors.decode()
        return said

    async def _jobd_in(self, box: Box, text: str) -> str:
        """As the index of the runbooks says."""
        index = (PAGES / "README.md").read_text()
        (recipe,) = re.findall(r"^(set -a;.*?)(?:\s+#.*)?$", index, re.MULTILINE)
        said = ""
        for line in text.splitlines():
            url = (
                f"unset JOBD_DATABASE_URL_FILE; export JOBD_DATABASE_URL={self.owner_url}"
                if line == MIGRATE
                else ""
            )
            done = await asyncio.to_thread(box.tried, "bash", "-c", f"{recipe}\n{url}\n{line}")
            assert done.returncode != MISUSED, (line, done.stdout, done.stderr)
            said += done.stdout + done.stderr
        return said

    async def _on_host(self, block: Block) -> str:
        """Line by line; a line may find nothing, but each must be a command of this host's."""
        said = ""
        for line in block.text.replace(EXAMPLE_PORT, f":{self.port}").splitlines():
            if self.box is None:
                code, output = await self._here(line)
            else:
                done = await asyncio.to_thread(self.box.tried, "bash", "-c", f"{self._as_owner(line)}{line}")
                code, output = done.returncode, done.stdout + done.stderr
            assert code in (LOOKED if block.section == "Diagnosis" else {0}), (line, code, output)
            assert not any(words in output for words in _NOT_ON_THE_HOST), (line, output)
            said += output
        return said

    async def _here(self, line: str) -> tuple[int, str]:
        """Without a systemd: what only asks over the network, with the daemon's URL in a file of its own."""
        program = line.split(maxsplit=1)[0]
        assert program in NEEDED, f"{line}: needs a systemd"
        programs.need(NEEDED[program])
        place = self.directory / "database-url"
        place.write_text(self.settings["JOBD_DATABASE_URL"])
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", line.replace(EXAMPLE_URL_FILE, str(place)),
            env={**os.environ, **self._owner()},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    def _as_owner(self, line: str) -> str:
        """Who runs psql is the owner of the schema, and so is who runs the command line beside it."""
        if "psql" not in line:
            return ""
        variables = {**self._owner(), "JOBD_DATABASE_URL": self.owner_url}
        return "".join(f"export {name}={value}\n" for name, value in variables.items())

    def _owner(self) -> dict[str, str]:
        """As whom psql comes in."""
        url = urlsplit(self.owner_url)
        return {
            "PGHOST": str(url.hostname),
            "PGPORT": str(url.port),
            "PGUSER": str(url.username),
            "PGDATABASE": url.path[1:],
        }


@dataclass
class Page:
    """The page of an alert, in somebody's hands."""

    name: str
    hands: Hands
    ran: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        return (PAGES / f"{self.name}.md").read_text()

    def blocks(self, section: str) -> list[Block]:
        """What a part of the page says to run, in its order."""
        parts = dict(_SECTION.findall(self.text))
        return [Block(section, language, text) for language, text in _BLOCK.findall(parts[section])]

    async def diagnose(self, **values: object) -> list[Any]:
        """Run all of the diagnosis, and give what came of each block."""
        found = []
        for block in self.blocks("Diagnosis"):
            self.ran.add(block.text)
            found.append(await self.hands.run(block._replace(text=_filled(block.text, values))))
        return found

    async def mitigate(self, words: str, **values: object) -> Any:
        """Run that part of the mitigation which holds these words, be it a block or within a sentence."""
        (part,) = [text for name, text in _SECTION.findall(self.text) if name == "Mitigation"]
        said = self.blocks("Mitigation")
        for text in _INLINE.findall(_BLOCK.sub("", part)):
            said.append(Block("Mitigation", "sh" if text.startswith("jobd ") else "", text))
        (block,) = {block for block in said if words in block.text}
        return await self.hands.run(block._replace(text=_filled(block.text, values)))


def _filled(text: str, values: dict[str, object]) -> str:
    """The text with what is written in capitals put in; what nobody knows is left for the block to fail on."""
    return PLACEHOLDER.sub(lambda found: str(values.get(found[0].lower(), found[0])), text)
