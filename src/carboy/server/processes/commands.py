"""Commands that run beside the workers (--with), such as the consumer of a queue.

    supervisor ── SIGHUP: restart; SIGTERM, or the end of a pipe: stop ──▶ command_runner.py
               command_runner.py ──▶ one child process for each command

The supervisor has to be able to fork at any time, so it has no threads and does not wait for
output. A process of its own starts the commands, reads what they write, starts them again and stops
them.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from carboy.late import late_module, shlex, shutil, subprocess
from carboy.server.dataclass import dataclass
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.processes import child
from carboy.server.processes.forked import Forked
from carboy.server.signals import HELD, hold

if TYPE_CHECKING:
    from carboy.server.processes import command_runner
else:
    command_runner = late_module("carboy.server.processes.command_runner")

SPARE = 2.0  # seconds for the process to end after its commands

log = logging.getLogger(ERROR_LOGGER)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: its words, and the name that its lines of the log begin with."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the program, without its folder."""
        return PurePath(self.words[0]).name


def parse_command(text: str) -> Command:
    """The command of --with. Raises ValueError if it cannot be started."""
    try:
        words = shlex.split(text)
    except ValueError as problem:
        raise ValueError(
            f"--with {text!r} is not a command: {problem}. Close its quotes."
        ) from None
    if not words:
        raise ValueError("--with needs a command, such as 'huey_consumer app.huey'.")
    if shutil.which(words[0]) is None:
        raise ValueError(
            f"--with {text!r}: there is no program {words[0]!r}. Install it, or give its path."
        )
    return Command(tuple(words))


class Commands:
    """The process of the commands, as the supervisor sees it."""

    def __init__(self, found: Iterable[Command], seconds: float) -> None:
        self._commands = tuple(found)
        self._seconds = seconds  # that commands may take to stop
        self._process: Forked | None = None
        self._writer = -1

    def start(self, sockets: Iterable[socket.socket]) -> None:
        """Start the process, which closes its copies of `sockets`; nothing without commands."""
        if not self._commands:
            return
        reader, self._writer = os.pipe()
        prctl = child.find_prctl()
        pid = os.fork()
        if pid == 0:
            os.close(self._writer)
            child.live(_work(self._commands, self._seconds, reader, sockets, prctl), "The process")
        os.close(reader)
        self._process = Forked(pid)

    def restart(self) -> None:
        """Start the commands again: the code has changed."""
        self._signal(signal.SIGHUP)

    def stop(self) -> None:
        """Have the commands stop; returns at once."""
        self._signal(signal.SIGTERM)

    def join(self, at_once: bool = False) -> None:
        """Wait until they have stopped, at most as long as they may take; or kill them at once."""
        process = self._process
        if process is None:
            return
        self._signal(signal.SIGQUIT if at_once else signal.SIGTERM)
        os.close(self._writer)
        try:
            process.wait(self._seconds + SPARE)
        except subprocess.TimeoutExpired:
            log.error("The commands of --with do not stop and are killed.")
            self._signal(signal.SIGKILL)
            process.wait(SPARE)
        except ChildProcessError:
            pass  # a supervisor that is process 1 has waited for it
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.kill(self._process.pid, number)
            except ProcessLookupError:
                pass


def _work(
    commands: tuple[Command, ...],
    seconds: float,
    reader: int,
    sockets: Iterable[socket.socket],
    prctl: Callable[..., int] | None,
) -> Callable[[], int]:
    def work() -> int:
        for sock in sockets:
            sock.close()  # the addresses are free when the supervisor has ended
        child.die_with_parent(prctl)
        child.reset_signals(HELD)
        hold(False)
        return command_runner.run_commands(
            [(each.name, each.words) for each in commands], seconds, reader, prctl
        )

    return work
