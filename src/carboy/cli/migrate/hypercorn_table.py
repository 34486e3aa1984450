"""The options of the command of hypercorn 0.18: what happens to each.

tests/cli/test_migrate_tables.py compares the table with the options of the installed hypercorn.
"""

from __future__ import annotations

from carboy.cli.migrate.gunicorn_table import GUNICORN
from carboy.cli.migrate.rules import (
    Setting,
    Table,
    Takes,
    binds,
    client_cert,
    none,
    same,
    seconds,
    unneeded,
)
from carboy.cli.migrate.shared_rules import KEY_PASSWORD, LOGGING

VALUE, LIST, FLAG = Takes.VALUE, Takes.LIST, Takes.FLAG
# These have the names, the spellings and the meaning of gunicorn's.
SHARED = (
    "backlog", "config", "daemon", "graceful_timeout", "group", "loglevel", "max_requests",
    "max_requests_jitter", "pidfile", "reload", "root_path", "statsd_host", "statsd_prefix",
    "umask", "user", "workers", "certfile", "keyfile", "ca_certs", "ciphers",
)  # fmt: skip

HYPERCORN: Table = {
    **{name: GUNICORN[name] for name in SHARED},
    "app": Setting(same("app"), Takes.NOWHERE),
    "accesslog": Setting(
        GUNICORN["accesslog"].rule, VALUE, ("--access-logfile", "--access-log")
    ),
    "access_log_format": Setting(
        GUNICORN["access_log_format"].rule, VALUE, ("--access-logformat",)
    ),
    "errorlog": Setting(
        GUNICORN["errorlog"].rule, VALUE, ("--error-logfile", "--log-file", "--error-log")
    ),
    "bind": Setting(same("bind", binds), LIST, ("-b", "--bind")),
    "insecure_bind": Setting(
        none("Use --redirect-http, which sends clients of a plain port to HTTPS."),
        LIST, ("--insecure-bind",),
    ),
    "quic_bind": Setting(none("Carboy does not speak HTTP/3."), LIST, ("--quic-bind",)),
    "debug": Setting(none("Use `carboy dev`."), FLAG, ("--debug",)),
    "read_timeout": Setting(
        same("silence_timeout", seconds), VALUE, ("--read-timeout",)
    ),
    "worker_class": Setting(
        unneeded("The event loop is asyncio or uvloop: --loop."), VALUE, ("-k", "--worker-class")
    ),
    "keep_alive": Setting(same("keepalive_timeout", seconds), VALUE, ("--keep-alive",)),
    "keyfile_password": Setting(
        KEY_PASSWORD, VALUE, ("--keyfile-password",),
    ),
    "log_config": Setting(
        LOGGING, VALUE, ("--log-config",)
    ),
    "server_names": Setting(same("host_allow"), LIST, ("--server-name",)),
    "verify_mode": Setting(same("client_cert", client_cert), VALUE, ("--verify-mode",)),
    "cert_reqs": Setting(same("client_cert", client_cert), VALUE, ("--cert-reqs",)),
    "websocket_ping_interval": Setting(
        same("websocket_ping_interval", seconds), VALUE, ("--websocket-ping-interval",)
    ),
}  # fmt: skip
