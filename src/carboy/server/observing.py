"""The settings that say what is logged of requests, and how requests are named."""

from __future__ import annotations

import re
from dataclasses import dataclass

from carboy.server.setting import LOGS, check_values, setting

_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}").fullmatch  # RFC 9110, section 5.6.2


@dataclass(frozen=True, slots=True)
class Observing:
    """Names of requests (docs/logging.md). Raises ValueError, naming the option."""

    request_id_header: str = setting(
        "X-Request-ID",
        "NAME",
        "Header whose value is taken from trusted proxies as the id of the request. Empty: every"
        " id is made by the server.",
        LOGS,
    )
    request_id_response: bool = setting(
        False, "yes or no", "Id of the request in the header of that name of each response.", LOGS
    )

    @property
    def response_field(self) -> str:
        """The name of the field of responses with the id, "" for none."""
        return self.request_id_header if self.request_id_response else ""

    def __post_init__(self) -> None:
        check_values(self)
        if self.request_id_header and not _token(self.request_id_header):
            raise ValueError(
                f"--request-id-header: {self.request_id_header!r} is not a name of a header. Use"
                " letters, digits and dashes."
            )
        if self.request_id_response and not self.request_id_header:
            raise ValueError("--request-id-response requires --request-id-header.")
