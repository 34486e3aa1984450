"""`python -m carboy`, and the program `carboy`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """The entry point. The signals that a server hears wait until it can hear them: importing the
    command line takes a while, in which they would end the process or raise KeyboardInterrupt."""
    if "run" in sys.argv[1:] and hasattr(signal, "pthread_sigmask"):
        names = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
        held = [getattr(signal, name) for name in names]  # carboy.server.signals.HELD
        signal.pthread_sigmask(signal.SIG_BLOCK, held)

    from carboy.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
