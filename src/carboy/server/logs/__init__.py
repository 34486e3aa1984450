"""The logs of a server process.

| file | content |
|---|---|
| facts | what is known of a request |
| redaction | the secrets that are replaced in it |
| formats, atoms | the line of a request; atoms: in a format of the user |
| access_log | the line of each request, where it goes, and which requests have one |
| slow_log | the logger "carboy.slow" |
| error_log | the logger "carboy.error": how its records are written |
| standard_streams | sys.stdout and sys.stderr while a server runs |
| output | a descriptor or log file that lines are written to |
| channel | lines that wait for one output, and the thread that writes them |
| handler_queue | the application's log handlers, called in a thread of their own |
| writer | the channels and the handler queue of a process; notes about lost lines |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from carboy.log_fields import install
from carboy.server.logs.access_log import AccessLog, RequestLog
from carboy.server.logs.error_log import ErrorLog, QueuedErrorHandler
from carboy.server.logs.facts import Record
from carboy.server.logs.redaction import redaction
from carboy.server.logs.slow_log import SlowLog
from carboy.server.logs.standard_streams import StandardStreams
from carboy.server.logs.writer import CLOSING, Writer

if TYPE_CHECKING:
    from carboy.server.processes.plan import Plan


class Logs:
    """The writer of this process, and the access log, error log and standard streams that use it.

    Make it before the application is loaded. Objects that the application makes of sys.stdout and
    sys.stderr then do not wait for a reader. Raises OSError when the access log cannot be opened.
    """

    def __init__(self, plan: Plan) -> None:
        install()
        self.writer = Writer()
        self.access: RequestLog | None = None
        self.errors: ErrorLog | None = None
        try:
            self.access = _request_log(plan, self.writer)
        except OSError:
            self.writer.close()
            raise
        self.streams = StandardStreams(self.writer.channel)

    def attach(self) -> None:
        """Take the records of the error log; call this when the application has set up logging."""
        self.errors = ErrorLog(QueuedErrorHandler(self.writer))

    def reopen(self) -> None:
        """Open log files again that were moved away. Returns at once, even in a signal handler."""
        self.writer.reopen()

    def close(self, timeout: float = CLOSING, ends: bool = False) -> None:
        """Write what was logged so far, for at most `timeout` seconds.

        `ends`: the process ends now, and sys.stdout and sys.stderr stay as they are, so that
        writes during its exit do not wait for a reader.
        """
        if self.errors is not None:
            self.errors.close()
        self.streams.flush()
        self.writer.close(timeout)
        if not ends:
            self.streams.close()
        if self.access is not None:
            self.access.close()


def _request_log(plan: Plan, writer: Writer) -> RequestLog | None:
    """The logs that get a record of each request."""
    observing = plan.settings.observing
    logs: list[RequestLog] = []
    if plan.access_log and plan.make_access_log is not None:
        logs.append(plan.make_access_log(writer))
    elif plan.access_log:
        name, skip = plan.access_log_format, plan.access_log_skip
        logs.append(AccessLog(writer, name, plan.access_log_file, skip, observing))
    if observing.slow:
        logs.append(SlowLog(writer, observing.slow, redaction(observing.access_log_redact)))
    if len(logs) > 1:
        return Several(logs)
    return logs[0] if logs else None


class Several:
    """Several logs that get the records of requests."""

    def __init__(self, logs: list[RequestLog]) -> None:
        self._logs = logs

    def __call__(self, record: Record) -> None:
        for log in self._logs:
            log(record)

    def close(self) -> None:
        """Close all of them."""
        for log in self._logs:
            log.close()
