"""The settings that say what is logged of requests, and how requests are named."""

from __future__ import annotations

import re

from carboy.server.dataclass import dataclass
from carboy.server.setting import LOGS, check_values, setting

TRACING = ("auto", "no")

_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}").fullmatch  # RFC 9110, section 5.6.2


@dataclass(frozen=True, slots=True)
class Observing:
    """Names of requests, and what is logged (docs/logging.md, docs/tracing.md).

    Raises ValueError, naming the option.
    """

    request_id_header: str = setting(
        "X-Request-ID",
        "NAME",
        "Header whose value is taken from trusted proxies as the id of the request. Empty: every"
        " id is made by the server.",
        LOGS,
    )
    request_id_response: bool = setting(
        False,
        "yes or no",
        "Id of the request in a header of each response, which has the name of"
        " --request-id-header.",
        LOGS,
    )

    access_log_sample: float = setting(
        1.0,
        "part",
        "Part of the requests that the access log has, such as 0.1. Errors and slow requests are"
        " always logged.",
        LOGS,
    )
    access_log_skip: tuple[str, ...] = setting(
        (),
        "PREFIX",
        "Beginning of paths that the access log does not have, such as /healthz. May be given more"
        " than once.",
        LOGS,
        shown="none",
    )
    access_log_redact: tuple[str, ...] = setting(
        (),
        "NAME",
        "Query parameter whose value is replaced in logs. May be given more than once.",
        LOGS,
        shown="none",
    )
    slow: float = setting(
        0.0,
        "seconds",
        "Time from which a request is logged as slow, on the logger carboy.slow. 0: never.",
        LOGS,
    )
    tracing: str = setting(
        "auto",
        "rule",
        "Spans of OpenTelemetry; auto: if the application has configured a provider.",
        LOGS,
        choices=TRACING,
    )

    @property
    def response_field(self) -> str:
        """The name of the field of responses with the id, "" for none."""
        return self.request_id_header if self.request_id_response else ""

    def __post_init__(self) -> None:
        check_values(self)
        if self.access_log_sample > 1:
            raise ValueError(
                f"access_log_sample must be at most 1, but is {self.access_log_sample!r}."
            )
        for prefix in self.access_log_skip:
            if not prefix.startswith("/"):
                raise ValueError(f"--access-log-skip: {prefix!r} is not a path. Begin it with /.")
        if "" in self.access_log_redact:
            raise ValueError("--access-log-redact requires the name of a query parameter.")
        if self.request_id_header and not _token(self.request_id_header):
            raise ValueError(
                f"--request-id-header: {self.request_id_header!r} is not a name of a header. Use"
                " letters, digits and dashes."
            )
        if self.request_id_response and not self.request_id_header:
            raise ValueError("--request-id-response requires --request-id-header.")
