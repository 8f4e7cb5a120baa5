"""Reads the Containerfile and the manifests as their programs would, so that tests can hold them against jobd."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
MANIFESTS = ROOT / "deploy" / "kubernetes"
# A part of a list that is commented out; prose has one blank behind the sign.
_COMMENTED = re.compile(r"^( {4,})# (?=- name: |  )", re.MULTILINE)


class Instruction(NamedTuple):
    """One line of the Containerfile, with those that continue it. ``stage`` counts from 0."""

    stage: int
    word: str
    rest: str

    @property
    def exec_form(self) -> list[str]:
        """A command that is written as a list, and so is run without a shell."""
        words = json.loads(self.rest[self.rest.index("[") :])
        assert all(isinstance(word, str) for word in words)
        return list(words)


def instructions() -> list[Instruction]:
    """The Containerfile's, in their order."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stage = -1
    found = []
    for line in text.splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage += word == "FROM"
            found.append(Instruction(stage, word, rest.strip()))
    return found


def of_kind(word: str, stage: int) -> list[str]:
    """What follows this word in a stage."""
    return [one.rest for one in instructions() if (one.word, one.stage) == (word, stage)]


def manifests(*, with_examples: bool = False) -> list[dict[str, Any]]:
    """All documents of all files; ``with_examples``: with what is commented out there put in."""
    found: list[dict[str, Any]] = []
    for path in sorted(MANIFESTS.glob("*.yaml")):
        text = path.read_text()
        found += yaml.safe_load_all(_COMMENTED.sub(r"\1", text) if with_examples else text)
    return found


def manifest(kind: str) -> dict[str, Any]:
    """The one of this kind."""
    (found,) = [one for one in manifests() if one["kind"] == kind]
    return found


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    """The pods that a Deployment or a Job makes."""
    template: dict[str, Any] = workload["spec"]["template"]["spec"]
    return template


def environment_of(pod: dict[str, Any]) -> dict[str, str]:
    """The variables of its container; what Kubernetes fills in is a pod's name here."""
    return {one["name"]: one.get("value", "jobd-1") for one in pod["containers"][0]["env"]}
