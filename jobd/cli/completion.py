"""``jobd completion``: what a shell reads to complete jobd's commands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

VARIABLE = "_JOBD_COMPLETE"


class Shell(StrEnum):
    """Those that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.", show_default=False)],
) -> None:
    """Print what a shell reads to complete commands, options, queues and the ids of jobs.

    bash: jobd completion bash > /etc/bash_completion.d/jobd

    zsh: jobd completion zsh > /usr/local/share/zsh/site-functions/_jobd

    fish: jobd completion fish > /etc/fish/completions/jobd.fish
    """
    typer.echo(script_for(shell))


def script_for(shell: Shell) -> str:
    """The script, without a blank line in front: zsh looks for its mark in the first."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # noqa: PLC0415  only here

    script = str(get_completion_script(prog_name="jobd", complete_var=VARIABLE, shell=shell.value)).strip()
    if shell is Shell.ZSH:
        # As a file of fpath it is a function's body, called where it should complete; else it is read by hand.
        body, _, registering = script.rpartition("\n")
        called = 'if [ "${funcstack[1]}" = _jobd ]; then\n  _jobd_completion "$@"\nelse\n  '
        script = f"{body}\n{called}{registering}\nfi"
    return script
