"""The options of `carboy run` about processes that are not a setting of one worker."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import click

from carboy.cli import locate
from carboy.cli.option_types import Workers
from carboy.cli.section_option import option
from carboy.server.processes.worker import LoadError
from carboy.server.setting import THREADS, WORKERS


def processes() -> list[click.Parameter]:
    """The options for the number of processes and how they are made."""
    return [
        option(
            "--workers", "-w", section=THREADS, type=Workers(), default=1, metavar="N|auto",
            show_default=True, help="Number of worker processes; auto: one for each processor.",
        ),
        option(
            "--supervisor/--no-supervisor", section=THREADS, default=True,
            help="Parent process that replaces workers which crash or hang. Without it, the"
            " program itself is the only worker.  [default: yes]",
        ),
        option(
            "--preload/--no-preload", section=WORKERS, default=False,
            help="Application loaded once, in a process from which all workers are forked."
            "  [default: no]",
        ),
        option(
            "--hooks", section=WORKERS, metavar="MODULE",
            help="Module with functions that run when workers start, stop and crash.",
        ),
    ]  # fmt: skip


def hooks_module(name: str) -> ModuleType:
    """The module of --hooks, a dotted name or a file. Raises LoadError."""
    folder = Path.cwd()
    locate.put_on_path(folder)
    try:
        return locate.import_module(name, folder)
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        raise LoadError(f"The module of --hooks cannot be used. {problem}") from None
