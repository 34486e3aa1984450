"""The options of uvicorn 0.54.0, the newest version on PyPI: what happens to each.

tests/cli/test_migrate_tables.py compares the table with the options of the installed uvicorn.
"""

from __future__ import annotations

from typing import Any

from carboy.cli.migrate.rules import (
    SKIP,
    Setting,
    Table,
    Takes,
    client_cert,
    like,
    none,
    number,
    positive,
    proxies,
    same,
    seconds,
    truth,
    unneeded,
)
from carboy.cli.migrate.shared_rules import (
    DEVELOP,
    FACTORY,
    KEY_PASSWORD,
    LEVEL,
    LIFESPAN,
    LOGGING,
    PARSER,
    TLS_VERSIONS,
    WEBSOCKETS,
    loop,
    unix,
)

VALUE, LIST, FLAG = Takes.VALUE, Takes.LIST, Takes.FLAG


def _interface(value: Any) -> Any:
    known = {"auto": SKIP, "asgi3": "asgi", "asgi2": "asgi", "wsgi": "wsgi"}
    if value not in known:
        raise ValueError(f"{value} is not an interface of Carboy. Use wsgi or asgi.")
    return known[value]


def _server_header(value: Any) -> Any:
    return SKIP if truth(value) else ""


def _trusted(value: Any) -> Any:
    return SKIP if truth(value) else ["none"]


def _ping(value: Any) -> Any:
    return 0 if value in (None, "None") else seconds(value)


UVICORN: Table = {
    "app": Setting(same("app"), Takes.NOWHERE),
    "app_dir": Setting(
        none("Run the command in this folder, or set the variable PYTHONPATH."),
        VALUE, ("--app-dir",),
    ),
    "factory": Setting(
        FACTORY, FLAG, ("--factory",),
    ),
    "env_file": Setting(same("env_file"), VALUE, ("--env-file",)),
    "host": Setting(same("host"), VALUE, ("--host",)),
    "port": Setting(same("port", number), VALUE, ("--port",)),
    "uds": Setting(same("bind", unix), VALUE, ("--uds",)),
    "fd": Setting(same("fd", number), VALUE, ("--fd",)),
    "backlog": Setting(same("backlog", number), VALUE, ("--backlog",)),
    "reload": Setting(DEVELOP, FLAG, ("--reload",)),
    "reload_dirs": Setting(DEVELOP, LIST, ("--reload-dir",)),
    "reload_includes": Setting(DEVELOP, LIST, ("--reload-include",)),
    "reload_excludes": Setting(DEVELOP, LIST, ("--reload-exclude",)),
    "reload_delay": Setting(DEVELOP, VALUE, ("--reload-delay",)),
    "workers": Setting(same("workers", number), VALUE, ("--workers",)),
    "loop": Setting(same("loop", loop), VALUE, ("--loop",)),
    "http": Setting(PARSER, VALUE, ("--http",)),
    "http2": Setting(
        like("http2", "HTTP/2 is on under TLS. --h2c is for clients without TLS.", truth),
        FLAG, ("--http2",),
    ),
    "ws": Setting(
        WEBSOCKETS, VALUE, ("--ws",)
    ),
    "ws_max_size": Setting(same("websocket_max_message", number), VALUE, ("--ws-max-size",)),
    "ws_max_queue": Setting(same("websocket_max_queue", number), VALUE, ("--ws-max-queue",)),
    "ws_ping_interval": Setting(
        same("websocket_ping_interval", _ping), VALUE, ("--ws-ping-interval",)
    ),
    "ws_ping_timeout": Setting(
        same("websocket_ping_timeout", _ping), VALUE, ("--ws-ping-timeout",)
    ),
    "ws_per_message_deflate": Setting(
        same("websocket_compression", truth), VALUE, ("--ws-per-message-deflate",)
    ),
    "lifespan": Setting(
        LIFESPAN, VALUE, ("--lifespan",)
    ),
    "interface": Setting(same("interface", _interface), VALUE, ("--interface",)),
    "log_config": Setting(LOGGING, VALUE, ("--log-config",)),
    "log_level": Setting(
        LEVEL, VALUE, ("--log-level",),
    ),
    "access_log": Setting(same("access_log", truth), FLAG, ("--access-log",)),
    "use_colors": Setting(
        unneeded("Colours are used on a terminal; NO_COLOR turns them off."),
        FLAG, ("--use-colors",),
    ),
    "proxy_headers": Setting(
        same("trusted_proxies", _trusted, "Proxies are trusted by --trusted-proxies."),
        FLAG, ("--proxy-headers",),
    ),
    "forwarded_allow_ips": Setting(
        same("trusted_proxies", proxies), VALUE, ("--forwarded-allow-ips",)
    ),
    "server_header": Setting(same("server_header", _server_header), FLAG, ("--server-header",)),
    "date_header": Setting(
        none("Every response has a Date header (RFC 9110, section 6.6.1)."),
        FLAG, ("--date-header",),
    ),
    "headers": Setting(
        none("Add headers in the application, or in a middleware."), LIST, ("--header",)
    ),
    "root_path": Setting(same("root_path"), VALUE, ("--root-path",)),
    "limit_concurrency": Setting(
        like(
            "connections",
            "It limits open connections of a worker; none is answered with 503.",
            number,
        ),
        VALUE, ("--limit-concurrency",),
    ),
    "limit_max_requests": Setting(
        same("max_requests", positive), VALUE, ("--limit-max-requests",)
    ),
    "limit_max_requests_jitter": Setting(
        same("max_requests_jitter", positive), VALUE, ("--limit-max-requests-jitter",)
    ),
    "timeout_keep_alive": Setting(
        same("keepalive_timeout", seconds), VALUE, ("--timeout-keep-alive",)
    ),
    "timeout_graceful_shutdown": Setting(
        same("graceful_timeout", seconds), VALUE, ("--timeout-graceful-shutdown",)
    ),
    "timeout_worker_healthcheck": Setting(
        same("worker_timeout", seconds), VALUE, ("--timeout-worker-healthcheck",)
    ),
    "ssl_keyfile": Setting(same("key"), VALUE, ("--ssl-keyfile",)),
    "ssl_certfile": Setting(same("cert"), VALUE, ("--ssl-certfile",)),
    "ssl_keyfile_password": Setting(
        KEY_PASSWORD, VALUE, ("--ssl-keyfile-password",),
    ),
    "ssl_version": Setting(
        TLS_VERSIONS, VALUE, ("--ssl-version",),
    ),
    "ssl_cert_reqs": Setting(same("client_cert", client_cert), VALUE, ("--ssl-cert-reqs",)),
    "ssl_ca_certs": Setting(same("client_ca"), VALUE, ("--ssl-ca-certs",)),
    "ssl_ciphers": Setting(same("tls_ciphers"), VALUE, ("--ssl-ciphers",)),
    "h11_max_incomplete_event_size": Setting(
        same("limit_fields_size", number), VALUE, ("--h11-max-incomplete-event-size",)
    ),
    "reset_contextvars": Setting(
        unneeded("Each request has a context of its own."), FLAG, ("--reset-contextvars",)
    ),
    "version": Setting(none("Use `carboy --version`."), FLAG, ("--version",)),
}  # fmt: skip
NEGATIVES = {
    "--no-access-log": "access_log",
    "--no-use-colors": "use_colors",
    "--no-proxy-headers": "proxy_headers",
    "--no-server-header": "server_header",
    "--no-date-header": "date_header",
}
