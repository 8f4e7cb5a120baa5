"""Which way the next batch takes, learnt from the last ones. Only ever a matter of speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.importing.ways.work import Plan, Work

PENALTY_BATCHES_MAX = 64
# From this share of bad values on, staging finds them faster than COPY's messages name them.
BLAMED_SHARE_MAX = 0.08


@dataclass(frozen=True, slots=True)
class Course:
    """What was learnt.

    ``direct_after``: batches to go until the direct way is tried; ``careful_for``: batches that look first for
    rows that constraints refuse.
    """

    may_go_direct: bool
    are_mostly_new: bool
    direct_after: int = 0
    direct_penalty: int = 1
    careful_for: int = 0
    careful_penalty: int = 1

    @classmethod
    def at_start(cls, plan: Plan, *, is_target_empty: bool) -> Course:
        """A target that holds rows may hold these: staged first, which will tell."""
        is_plain = not plan.target.has_row_security and not plan.rows.self_references
        may_go_direct = is_plain and not plan.rules.similar and not plan.rules.tracks
        are_new = is_target_empty or not plan.mapping.key
        return cls(may_go_direct=may_go_direct, are_mostly_new=are_new, direct_after=0 if are_new else 1)

    @property
    def tries_direct(self) -> bool:
        """Whether the next batch goes straight to the target first."""
        return self.may_go_direct and self.are_mostly_new and self.direct_after == 0

    @property
    def is_careful(self) -> bool:
        """Whether the staged way looks for rows that constraints refuse before it tries."""
        return self.careful_for > 0

    def after(self, work: Work) -> Course:
        """What a batch that was committed taught."""
        course = self
        if work.went_direct:
            if work.blamed > BLAMED_SHARE_MAX * max(len(work.arranged), 1):
                return course._without_direct()
            return replace(course, direct_after=0, direct_penalty=1, careful_for=max(0, course.careful_for - 1))
        if work.direct_failed:
            course = course._without_direct()
        elif course.direct_after:
            course = replace(course, direct_after=course.direct_after - 1)
        if work.was_refused:
            course = replace(
                course,
                careful_for=course.careful_penalty,
                careful_penalty=min(course.careful_penalty * 2, PENALTY_BATCHES_MAX),
            )
        elif course.careful_for:
            found = work.found_violations
            left = course.careful_for if found else course.careful_for - 1
            course = replace(course, careful_for=left)
        tally = work.tally
        if tally.success_count:
            existing = tally.success_count - tally.added
            course = replace(course, are_mostly_new=existing * 10 < tally.success_count)
        return course

    def _without_direct(self) -> Course:
        return replace(
            self,
            direct_after=self.direct_penalty,
            direct_penalty=min(self.direct_penalty * 2, PENALTY_BATCHES_MAX),
        )
