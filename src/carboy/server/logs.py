"""The logs of a process that serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carboy.server.access_log import AccessLog
from carboy.server.log import ErrorLog, QueuedErrors
from carboy.server.simple_log import LOGGER, LoggerAccess
from carboy.server.stdio import Standard
from carboy.server.writer import CLOSING, Writer

if TYPE_CHECKING:
    from carboy.server.worker import Plan


class Logs:
    """The writer of this process and the two logs that feed it."""

    def __init__(self, plan: Plan) -> None:
        self.writer = Writer()
        self.errors = ErrorLog(QueuedErrors(self.writer))
        self.access: AccessLog | LoggerAccess | None = None
        if plan.access_log and plan.access_log_format == LOGGER:
            self.access = LoggerAccess(self.writer)
        elif plan.access_log:
            self.access = AccessLog(
                self.writer, plan.access_log_format, plan.access_log_file, plan.access_log_skip
            )
        self.streams = Standard(self.writer.channel)

    def reopen(self) -> None:
        """Open log files again that were moved away; returns at once, also in a signal handler."""
        self.writer.reopen()

    def close(self, timeout: float = CLOSING) -> None:
        """Write what was logged so far, for at most `timeout` seconds."""
        self.errors.close()
        self.streams.flush()
        self.writer.close(timeout)
        self.streams.close()
        if self.access is not None:
            self.access.close()
