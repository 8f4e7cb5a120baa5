"""What an import learnt about its target, for the next one into it in the same slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobd.importing.fields.prefix import Origin

if TYPE_CHECKING:
    from jobd.importing.importers import Importers
    from jobd.model.job import Job
    from jobd.model.options import ImportOptions


@dataclass(frozen=True, slots=True)
class Memory:
    """The importers of the last job, and the state of the target when they were made."""

    options: ImportOptions
    state: str
    importers: Importers


class Remembering(Protocol):
    """A job, or several of a kind, with what the last one in the slot left behind."""

    @property
    def job(self) -> Job:
        """The job, or the first."""
        ...

    @property
    def memory(self) -> object | None:
        """What was left behind."""
        ...

    async def target_state(self) -> str | None:
        """As of now."""
        ...


async def recall(context: Remembering, options: ImportOptions) -> Importers | None:
    """The last job's importers, made this job's, where its options are the same and the target is as it was."""
    memory = context.memory
    if not isinstance(memory, Memory) or memory.options != options or context.job.detected is not None:
        return None
    if await context.target_state() != memory.state:
        return None
    memory.importers.serve(context.job)
    return memory.importers


def is_memorable(options: ImportOptions) -> bool:
    """Whether all that is checked before the first row is the same for every job with these options.

    Not where a column is to hold the file's name, nor where rows are compared by what an extension offers.
    """
    return not options.similar and Origin.FILE not in options.provenance
