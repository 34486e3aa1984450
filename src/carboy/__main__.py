"""The entry point of `carboy` and of `python -m carboy`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line.

    For `carboy run`, the signals that a server handles are blocked while the command line is
    imported. Until the handlers are set, they would end the process or raise KeyboardInterrupt.
    For other commands, Ctrl+C during these imports ends the process without a traceback.
    """
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if "run" in sys.argv[1:] and hasattr(signal, "pthread_sigmask"):
        names = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
        held = [getattr(signal, name) for name in names]  # carboy.server.signals.HELD
        signal.pthread_sigmask(signal.SIG_BLOCK, held)
    elif raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from carboy.cli.main import main as command_line

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line()


if __name__ == "__main__":
    main()
