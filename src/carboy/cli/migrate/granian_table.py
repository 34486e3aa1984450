"""The options of granian 2.8.9: what happens to each.

tests/cli/test_migrate_tables.py compares the table with the options of that version.
"""

from __future__ import annotations

from typing import Any

from carboy.app.intervals import seconds_of
from carboy.cli.migrate.gunicorn_table import GUNICORN
from carboy.cli.migrate.rules import (
    SKIP,
    Setting,
    Table,
    Takes,
    like,
    none,
    number,
    octal,
    same,
    seconds,
    truth,
    unneeded,
)
from carboy.cli.migrate.shared_rules import (
    DEVELOP,
    FACTORY,
    FRAME_SIZE,
    KEY_PASSWORD,
    LEVEL,
    LOGGING,
    PROCESS_NAME,
    WEBSOCKETS,
    loop,
    unix,
)

VALUE, LIST, FLAG = Takes.VALUE, Takes.LIST, Takes.FLAG
RUNTIME = unneeded("A worker has one event loop, and one of its threads reads all requests.")
REPLACED = unneeded("A worker that crashes is always replaced.")
SAMPLES = unneeded("The supervisor looks at the memory of its workers all the time.")
METRICS = none("The admin server has /metrics: --admin HOST:PORT.")
MEMORY = unneeded("Buffers of a connection grow with what it sends.")


def _interface(value: Any) -> Any:
    known = {"asgi": "asgi", "asginl": "asgi", "wsgi": "wsgi"}
    if value not in known:
        raise ValueError(f"{value} is not an interface of Carboy. Use wsgi or asgi.")
    return known[value]


def _http2(value: Any) -> Any:
    return False if str(value) == "1" else SKIP


def _span(value: Any) -> Any:
    """Seconds, from a number or from a text such as 12h."""
    try:
        return seconds(value)
    except ValueError:
        return seconds(seconds_of(str(value)))


def _milliseconds(value: Any) -> Any:
    return seconds(number(value) / 1000)


def _memory(value: Any) -> str:
    return f"{number(value)}m"


def _one_file(value: Any) -> Any:
    files = value if isinstance(value, list) else [value]
    if len(files) != 1:
        raise ValueError("Carboy reads one file. Join them, or use the variables of the service.")
    return files[0]


def _kept(value: Any) -> Any:
    return SKIP if truth(value) else 0


def _tls(value: Any) -> str:
    return str(value).lower().removeprefix("tls")


def _index(value: Any) -> bool:
    if value != "index.html":
        raise ValueError("The file for a folder is always index.html.")
    return True


def _client_cert(value: Any) -> Any:
    return "required" if truth(value) else SKIP


GRANIAN: Table = {
    # --- the application, and where it runs
    "app": Setting(same("app"), Takes.NOWHERE),
    "host": Setting(same("host"), VALUE, ("--host",)),
    "port": Setting(same("port", number), VALUE, ("--port",)),
    "uds": Setting(same("bind", unix), VALUE, ("--uds",)),
    "uds_permissions": Setting(same("socket_mode", octal), VALUE, ("--uds-permissions",)),
    "interface": Setting(same("interface", _interface), VALUE, ("--interface",)),
    "factory": Setting(FACTORY, FLAG, ("--factory",)),
    "working_dir": Setting(same("chdir"), VALUE, ("--working-dir",)),
    "env_files": Setting(same("env_file", _one_file), LIST, ("--env-files",)),
    "url_path_prefix": Setting(same("root_path"), VALUE, ("--url-path-prefix",)),
    "process_name": Setting(PROCESS_NAME, VALUE, ("--process-name",)),
    "pid_file": Setting(same("pid_file"), VALUE, ("--pid-file",)),
    "version": Setting(none("Use `carboy --version`."), FLAG, ("--version",)),
    # --- workers and threads
    "workers": Setting(same("workers", number), VALUE, ("--workers",)),
    "blocking_threads": Setting(same("threads", number), VALUE, ("--blocking-threads",)),
    "blocking_threads_idle_timeout": Setting(
        unneeded("Threads are started when they are needed."),
        VALUE, ("--blocking-threads-idle-timeout",),
    ),
    "runtime_threads": Setting(RUNTIME, VALUE, ("--runtime-threads",)),
    "runtime_blocking_threads": Setting(RUNTIME, VALUE, ("--runtime-blocking-threads",)),
    "runtime_mode": Setting(RUNTIME, VALUE, ("--runtime-mode",)),
    "loop": Setting(same("loop", loop), VALUE, ("--loop",)),
    "task_impl": Setting(
        unneeded("Coroutines are tasks of the event loop."), VALUE, ("--task-impl",)
    ),
    "backlog": Setting(same("backlog", number), VALUE, ("--backlog",)),
    "backpressure": Setting(
        none("--queue-limit and --adaptive-limit refuse requests under overload."),
        VALUE, ("--backpressure",),
    ),
    "respawn_failed_workers": Setting(REPLACED, FLAG, ("--respawn-failed-workers",)),
    "respawn_interval": Setting(REPLACED, VALUE, ("--respawn-interval",)),
    "rss_sample_interval": Setting(SAMPLES, VALUE, ("--rss-sample-interval",)),
    "rss_samples": Setting(SAMPLES, VALUE, ("--rss-samples",)),
    "workers_lifetime": Setting(same("max_lifetime", _span), VALUE, ("--workers-lifetime",)),
    "workers_max_rss": Setting(same("max_memory", _memory), VALUE, ("--workers-max-rss",)),
    "workers_kill_timeout": Setting(
        like(
            "graceful_timeout",
            "Requests that still run are closed then, and the worker is ended 5 s later.",
            _span,
        ),
        VALUE, ("--workers-kill-timeout",),
    ),
    # --- HTTP
    "http": Setting(
        like(
            "http2", "HTTP/2 is on under TLS. --h2c is for clients without TLS.", _http2
        ),
        VALUE, ("--http",),
    ),
    "websockets": Setting(WEBSOCKETS, FLAG, ("--ws",)),
    "http1_buffer_size": Setting(
        like("limit_fields_size", "It limits the header fields of a request.", number),
        VALUE, ("--http1-buffer-size",),
    ),
    "http1_header_read_timeout": Setting(
        same("headers_timeout", _milliseconds), VALUE, ("--http1-header-read-timeout",)
    ),
    "http1_keep_alive": Setting(
        like("keepalive_timeout", "It is the time for which connections are kept.", _kept),
        FLAG, ("--http1-keep-alive",),
    ),
    "http1_pipeline_flush": Setting(
        unneeded("Responses of pipelined requests are sent together."),
        FLAG, ("--http1-pipeline-flush",),
    ),
    "http2_adaptive_window": Setting(
        none("--http2-window is the size of all windows."), FLAG, ("--http2-adaptive-window",)
    ),
    "http2_initial_connection_window_size": Setting(
        none("--http2-window is the size of all windows."),
        VALUE, ("--http2-initial-connection-window-size",),
    ),
    "http2_initial_stream_window_size": Setting(
        same("http2_window", number), VALUE, ("--http2-initial-stream-window-size",)
    ),
    "http2_keep_alive_interval": Setting(
        unneeded("TCP keep-alive notices clients that have gone."),
        VALUE, ("--http2-keep-alive-interval",),
    ),
    "http2_keep_alive_timeout": Setting(
        unneeded("TCP keep-alive notices clients that have gone."),
        VALUE, ("--http2-keep-alive-timeout",),
    ),
    "http2_max_concurrent_streams": Setting(
        same("http2_streams", number), VALUE, ("--http2-max-concurrent-streams",)
    ),
    "http2_max_frame_size": Setting(FRAME_SIZE, VALUE, ("--http2-max-frame-size",)),
    "http2_max_headers_size": Setting(
        same("http2_header_list", number), VALUE, ("--http2-max-headers-size",)
    ),
    "http2_max_send_buffer_size": Setting(MEMORY, VALUE, ("--http2-max-send-buffer-size",)),
    # --- logs
    "log_enabled": Setting(
        none("Errors are always logged. Configure the logger carboy.error."), FLAG, ("--log",)
    ),
    "log_level": Setting(LEVEL, VALUE, ("--log-level",)),
    "log_config": Setting(LOGGING, VALUE, ("--log-config",)),
    "log_access_enabled": Setting(same("access_log", truth), FLAG, ("--access-log",)),
    "log_access_fmt": Setting(
        none("Its fields have other names: see --access-log-format."),
        VALUE, ("--access-log-fmt",),
    ),
    # --- TLS
    "ssl_certificate": Setting(same("cert"), VALUE, ("--ssl-certificate",)),
    "ssl_keyfile": Setting(same("key"), VALUE, ("--ssl-keyfile",)),
    "ssl_keyfile_password": Setting(KEY_PASSWORD, VALUE, ("--ssl-keyfile-password",)),
    "ssl_protocol_min": Setting(same("tls_min", _tls), VALUE, ("--ssl-protocol-min",)),
    "ssl_ca": Setting(GUNICORN["ca_certs"].rule, VALUE, ("--ssl-ca",)),
    "ssl_crl": Setting(
        none("Carboy does not read revocation lists. Let a proxy check them."),
        LIST, ("--ssl-crl",),
    ),
    "ssl_client_verify": Setting(
        same("client_cert", _client_cert), FLAG, ("--ssl-client-verify",)
    ),
    # --- static files: the routes and the folders are joined in finish.py
    "static_path_route": Setting(same("static"), LIST, ("--static-path-route",)),
    "static_path_mount": Setting(same("static"), LIST, ("--static-path-mount",)),
    "static_path_dir_to_file": Setting(
        same("static_index", _index), VALUE, ("--static-path-dir-to-file",)
    ),
    "static_path_expires": Setting(
        same("static_max_age", _span), VALUE, ("--static-path-expires",)
    ),
    # --- metrics
    "metrics_enabled": Setting(METRICS, FLAG, ("--metrics",)),
    "metrics_scrape_interval": Setting(METRICS, VALUE, ("--metrics-scrape-interval",)),
    "metrics_address": Setting(METRICS, VALUE, ("--metrics-address",)),
    "metrics_port": Setting(METRICS, VALUE, ("--metrics-port",)),
    # --- development
    "reload": Setting(DEVELOP, FLAG, ("--reload",)),
    "reload_paths": Setting(DEVELOP, LIST, ("--reload-paths",)),
    "reload_ignore_dirs": Setting(DEVELOP, LIST, ("--reload-ignore-dirs",)),
    "reload_ignore_patterns": Setting(DEVELOP, LIST, ("--reload-ignore-patterns",)),
    "reload_ignore_paths": Setting(DEVELOP, LIST, ("--reload-ignore-paths",)),
    "reload_tick": Setting(DEVELOP, VALUE, ("--reload-tick",)),
    "reload_ignore_worker_failure": Setting(
        DEVELOP, FLAG, ("--reload-ignore-worker-failure",)
    ),
}  # fmt: skip
NEGATIVES = {
    setting.spellings[0].replace("--", "--no-", 1): name
    for name, setting in GRANIAN.items()
    if setting.takes is FLAG and name != "version"
}
