"""Names with wildcards: ``*``, ``?`` and ``[…]`` within one part of a path, ``**`` for any number of parts."""

from __future__ import annotations

import fnmatch
import re


class Pattern:
    """A pattern of names; one that ends in a slash stands for everything below.

    Parts are matched one by one, so that no pattern takes longer than its length times that of the name.
    """

    def __init__(self, pattern: str) -> None:
        parts = (f"{pattern}**" if pattern.endswith("/") else pattern).split("/")
        self._parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in parts]

    def matches(self, name: str) -> bool:
        """Whether the pattern stands for the name."""
        reached = self._with_skipped({0})
        for part in name.split("/"):
            following: set[int] = set()
            for index in reached - {len(self._parts)}:
                wanted = self._parts[index]
                if wanted is None:
                    following |= {index, index + 1}
                elif wanted.match(part):
                    following.add(index + 1)
            reached = self._with_skipped(following)
        return len(self._parts) in reached

    def _with_skipped(self, reached: set[int]) -> set[int]:
        """With what comes after each ``**``, which may stand for no part at all unless it is the last."""
        for index, wanted in enumerate(self._parts[:-1]):
            if wanted is None and index in reached:
                reached.add(index + 1)
        return reached


def has_wildcards(name: str) -> bool:
    """Whether a name stands for many."""
    return any(sign in name for sign in "*?[")


def fixed_directory(pattern: str) -> str:
    """What all names of a pattern begin with, up to a slash: ``""`` or a directory with its slash."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return fixed[: fixed.rfind("/") + 1]
