"""The command line: one module per group of commands; ``app`` puts them together."""

from jobd.cli.app import main

__all__ = ["main"]
