"""The servers whose configuration can be migrated."""

from __future__ import annotations

from dataclasses import dataclass, field

from carboy.cli.migrate.daphne_table import DAPHNE
from carboy.cli.migrate.granian_table import GRANIAN
from carboy.cli.migrate.granian_table import NEGATIVES as OF_GRANIAN
from carboy.cli.migrate.gunicorn_table import GUNICORN
from carboy.cli.migrate.hypercorn_table import HYPERCORN
from carboy.cli.migrate.rules import Table
from carboy.cli.migrate.uvicorn_table import NEGATIVES, UVICORN
from carboy.cli.migrate.uwsgi_table import UWSGI


@dataclass(frozen=True, slots=True)
class Server:
    """A server: its table, and how its command line is read."""

    name: str
    table: Table
    positional: str  # the setting of a word that is not an option
    negatives: dict[str, str] = field(default_factory=dict)  # spelling: setting that it turns off
    shortened: bool = False  # long options may be shortened (argparse)
    long_names: bool = False  # every name is also a long option
    defaults: tuple[str, ...] = ()  # differences between its defaults and those of Carboy


PROXIES = (
    "Forwarded and X-Forwarded-* headers are taken from unix sockets only. If a proxy connects over"
    " TCP, name it: --trusted-proxies 127.0.0.1."
)
BODY = "Request bodies have up to 100 MiB: --limit-body."

SERVERS: dict[str, Server] = {
    "gunicorn": Server(
        "gunicorn", GUNICORN, "wsgi_app", shortened=True,
        defaults=(
            "Idle connections are kept for 75 s, not 2 s: --keepalive-timeout.",
            "Requests are logged on standard output: --no-access-log.",
            PROXIES, BODY,
        ),
    ),
    "uvicorn": Server(
        "uvicorn", UVICORN, "app", NEGATIVES,
        defaults=(
            "Idle connections are kept for 75 s, not 5 s: --keepalive-timeout.",
            "A stop waits 30 s for running requests, not indefinitely: --graceful-timeout.",
            PROXIES, BODY,
        ),
    ),
    "hypercorn": Server(
        "hypercorn", HYPERCORN, "app", shortened=True,
        defaults=(
            "Idle connections are kept for 75 s, not 5 s: --keepalive-timeout.",
            "Requests are logged on standard output: --no-access-log.",
            PROXIES, BODY,
        ),
    ),
    "daphne": Server(
        "daphne", DAPHNE, "application", shortened=True,
        defaults=(
            "Requests are logged on standard output: --no-access-log.",
            PROXIES, BODY,
        ),
    ),
    "granian": Server(
        "granian", GRANIAN, "app", OF_GRANIAN,
        defaults=(
            "The interface is found out: WSGI or ASGI. An application that has RSGI only cannot be"
            " served.",
            "Requests are logged on standard output: --no-access-log.",
            "TLS 1.2 is spoken as well: --tls-min 1.3.",
            PROXIES, BODY,
        ),
    ),
    "uwsgi": Server(
        "uwsgi", UWSGI, "ini", long_names=True,
        defaults=(
            "Connections are kept open between requests: --keepalive-timeout.",
            "Each worker has threads that are started on demand: --threads 1 for one request at a"
            " time.",
            PROXIES, BODY,
        ),
    ),
}  # fmt: skip
