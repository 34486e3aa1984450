"""The options of the command of daphne 4.2.3: what happens to each.

tests/cli/test_migrate_tables.py compares the table with the options of that version.
"""

from __future__ import annotations

from typing import Any

from carboy.cli.migrate.rules import (
    SKIP,
    Setting,
    Table,
    Takes,
    like,
    none,
    number,
    same,
    seconds,
)
from carboy.cli.migrate.shared_rules import LEVEL, LOGGING, unix

VALUE, FLAG = Takes.VALUE, Takes.FLAG
PROXY = none("Name the proxy: --trusted-proxies 127.0.0.1.")


def _access_log(value: Any) -> Any:
    return "stdout" if value == "-" else str(value)


DAPHNE: Table = {
    "application": Setting(same("app"), Takes.NOWHERE),
    "port": Setting(same("port", number), VALUE, ("-p", "--port")),
    "host": Setting(same("host"), VALUE, ("-b", "--bind")),
    "unix_socket": Setting(same("bind", unix), VALUE, ("-u", "--unix-socket")),
    "file_descriptor": Setting(same("fd", number), VALUE, ("--fd",)),
    "socket_strings": Setting(
        none("Use --bind for addresses, and --cert and --key for TLS."),
        Takes.LIST, ("-e", "--endpoint"),
    ),
    "verbosity": Setting(
        LEVEL, VALUE, ("-v", "--verbosity"),
    ),
    "http_timeout": Setting(
        like("request_timeout", "It also counts while the request waits.", seconds),
        VALUE, ("-t", "--http-timeout"),
    ),
    "access_log": Setting(same("access_log_file", _access_log), VALUE, ("--access-log",)),
    "log_fmt": Setting(
        LOGGING, VALUE, ("--log-fmt",)
    ),
    "ping_interval": Setting(
        same("websocket_ping_interval", seconds), VALUE, ("--ping-interval",)
    ),
    "ping_timeout": Setting(
        same("websocket_ping_timeout", seconds), VALUE, ("--ping-timeout",)
    ),
    "websocket_timeout": Setting(
        none("A WebSocket whose client answers pings stays open."),
        VALUE, ("--websocket_timeout",),
    ),
    "websocket_connect_timeout": Setting(
        none("--request-timeout limits the handshake."), VALUE, ("--websocket_connect_timeout",)
    ),
    "websocket_max_message_size": Setting(
        same("websocket_max_message", number), VALUE, ("--websocket-max-message-size",)
    ),
    "websocket_max_frame_size": Setting(
        none("--websocket-max-message limits messages, whatever frames they have."),
        VALUE, ("--websocket-max-frame-size",),
    ),
    "application_close_timeout": Setting(
        like("graceful_timeout", "It counts for all requests at a stop.", lambda _: SKIP),
        VALUE, ("--application-close-timeout",),
    ),
    "root_path": Setting(same("root_path"), VALUE, ("--root-path",)),
    "proxy_headers": Setting(PROXY, FLAG, ("--proxy-headers",)),
    "proxy_headers_host": Setting(PROXY, VALUE, ("--proxy-headers-host",)),
    "proxy_headers_port": Setting(PROXY, VALUE, ("--proxy-headers-port",)),
    "server_name": Setting(same("server_header"), VALUE, ("-s", "--server-name")),
    "no_server_name": Setting(
        same("server_header", lambda _: ""), FLAG, ("--no-server-name",)
    ),
}  # fmt: skip
