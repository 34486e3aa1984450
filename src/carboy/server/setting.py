"""The description of one setting: default, unit, help text and the heading of the help."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

KIB = 1024

# The headings of the help
APPLICATION = "Application"
THREADS = "Processes and threads"
WORKERS = "Replacement of workers"
PROCESS = "User and files of the process"
TIMES = "Time limits"
SIZES = "Sizes and numbers"
WEBSOCKET = "WebSocket"
CHANNELS = "Channels"
TLS = "TLS"
STATIC = "Static files"
COMPRESSION = "Compression"
CACHE = "Cache"
PROXIES = "Proxies and names"
HTTP2 = "HTTP/2"
METRICS = "Metrics"
ADMIN = "Operation"
LOGS = "Access log"
OTHER = "Other"


def setting(default: Any, unit: str, help: str, section: str, **more: Any) -> Any:
    """A field with what the command line needs.

    `more` may have: `least` and `most`, the smallest and the largest value; `flags`, other
    spellings of the option; `choices`, the only values; `shown`, the default as the help shows it;
    `flag`, that a setting whose default is None is yes or no.
    """
    known = {"unit": unit, "help": help, "section": section, **more}
    if callable(default):
        return field(default_factory=default, metadata=known)
    return field(default=default, metadata=known)


def check_values(settings: Any) -> None:
    """Raise ValueError, naming the field, for a value that is too small, too large or unknown."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"{each.name} must not be negative, but is {value!r}.")
        if isinstance(value, int) and value < each.metadata.get("least", 0):
            raise ValueError(f"{each.name} must be at least 1, but is {value!r}.")
        most = each.metadata.get("most", value)
        if isinstance(value, int) and value > most:
            raise ValueError(f"{each.name} must be at most {most}, but is {value!r}.")
        choices = each.metadata.get("choices", ())
        if choices and value not in choices:
            raise ValueError(f"There is no {each.name} {value!r}. Use one of {', '.join(choices)}.")
