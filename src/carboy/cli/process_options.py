"""The options of `carboy run` about processes that are not a setting of one worker."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import click

from carboy.cli import locate
from carboy.cli.option_types import CommandLine, Workers
from carboy.cli.section_option import option
from carboy.server.bind import KEPT_FDS
from carboy.server.processes.load_check import VARIABLE
from carboy.server.processes.worker import LoadError
from carboy.server.setting import PROCESS, THREADS, WORKERS


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
            "--chdir", section=PROCESS, metavar="DIR", is_eager=True,
            callback=_change_folder, help="Folder to change to before anything is loaded.",
        ),
        option(
            "--hooks", section=WORKERS, metavar="MODULE",
            help="Module with functions that run when workers start, stop and crash.",
        ),
        option(
            "--with", section=WORKERS, multiple=True, type=CommandLine(), metavar="COMMAND",
            help="Command that runs beside the workers, such as the consumer of a queue. May be"
            " given more than once.",
        ),
    ]  # fmt: skip


STARTED_IN = "CARBOY_STARTED_IN"  # process id and folder, for the program that it starts again


def _change_folder(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """Change to the folder, which is relative to the one in which the program was started.

    A program that starts itself again, or that a server starts to check new code, is in the folder
    already.
    """
    if text is None or ctx.resilient_parsing:
        return text
    pid, _, before = os.environ.get(STARTED_IN, "").partition(":")
    again = KEPT_FDS in os.environ or VARIABLE in os.environ
    if not again or pid not in (str(os.getpid()), str(os.getppid())):
        before = str(Path.cwd())
        os.environ[STARTED_IN] = f"{os.getpid()}:{before}"
    try:
        os.chdir(Path(before) / text)
    except OSError as problem:
        why = f": {problem.strerror}" if not isinstance(problem, FileNotFoundError) else ""
        raise click.UsageError(
            f"There is no folder {text} to change to{why}. Make it, or correct --chdir.", ctx
        ) from None
    return text


def hooks_module(name: str) -> ModuleType:
    """The module of --hooks, a dotted name or a file. Raises LoadError."""
    folder = Path.cwd()
    locate.put_on_path(folder)
    try:
        return locate.import_module(name, folder)
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        raise LoadError(f"The module of --hooks cannot be used. {problem}") from None
