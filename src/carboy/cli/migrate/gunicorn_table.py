"""The settings of gunicorn 27.0.1, the newest version on PyPI: what happens to each.

tests/cli/test_migrate_tables.py compares the table with the settings of the installed gunicorn.
"""

from __future__ import annotations

from typing import Any

from carboy.cli.migrate.rules import (
    SKIP,
    Setting,
    Table,
    Takes,
    binds,
    client_cert,
    like,
    none,
    number,
    octal,
    positive,
    proxies,
    same,
    seconds,
    texts,
    truth,
    unneeded,
)
from carboy.cli.migrate.shared_rules import (
    DEVELOP,
    FRAME_SIZE,
    LEVEL,
    LIFESPAN,
    LOGGING,
    PARSER,
    PROCESS_NAME,
    TLS_VERSIONS,
    loop,
)

VALUE, LIST, FLAG, NOWHERE = Takes.VALUE, Takes.LIST, Takes.FLAG, Takes.NOWHERE
HOOK = none("Functions of gunicorn's hooks take gunicorn's objects. Move the code to the hooks of"
            " Carboy, or to the module of the application.")  # fmt: skip
DIRTY = none("Run such work in a process of its own beside the workers: --with.")
STRICT = none("Carboy is strict, because requests that two programs read differently can be used"
              " to smuggle others.")  # fmt: skip
SYSLOG = none("Let the service manager collect standard output, or add a logging handler.")
COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s'


def _access_log(value: Any) -> Any:
    return SKIP if value in (None, "", "None") else "stdout" if value == "-" else str(value)


def _access_format(value: Any) -> Any:
    text = str(value)
    return "combined" if text.startswith(COMMON) and "%(a)s" in text else text


def _proxy_protocol(value: Any) -> Any:
    return True if str(value).lower() not in ("off", "false", "0", "") else SKIP


def _http2(value: Any) -> bool:
    return "h2" in texts(value)


def _underscores(value: Any) -> Any:
    if value == "refuse":
        raise ValueError("Carboy cannot refuse requests for header names with `_`. It drops them.")
    return True if value == "dangerous" else SKIP


def _no_admin(value: Any) -> Any:
    return "none" if truth(value) else SKIP


def _tmp_dir(value: Any) -> Any:
    """The folder, unless it is in memory, where large request bodies do not belong."""
    return SKIP if str(value).rstrip("/") in ("/dev/shm", "/run/shm") else str(value)


def _errors(value: Any) -> Any:
    if value not in ("-", None):
        raise ValueError("The error log goes to standard error. Redirect it to a file.")
    return SKIP


GUNICORN: Table = {
    # --- the application, and where it runs
    "config": Setting(unneeded("The file is read with the command."), VALUE, ("-c", "--config")),
    "wsgi_app": Setting(same("app"), NOWHERE),
    "chdir": Setting(same("chdir"), VALUE, ("--chdir",)),
    "pythonpath": Setting(none("Set the variable PYTHONPATH."), VALUE, ("--pythonpath",)),
    "paste": Setting(
        none("Name the application: MODULE:NAME."), VALUE, ("--paste", "--paster")
    ),
    "raw_paste_global_conf": Setting(
        none("Name the application: MODULE:NAME."), LIST, ("--paste-global",)
    ),
    "raw_env": Setting(same("env", texts), LIST, ("-e", "--env")),
    "reload": Setting(DEVELOP, FLAG, ("--reload",)),
    "reload_engine": Setting(DEVELOP, VALUE, ("--reload-engine",)),
    "reload_extra_files": Setting(DEVELOP, LIST, ("--reload-extra-file",)),
    "spew": Setting(
        none("Use `carboy explain` to see every call of a request."), FLAG, ("--spew",)
    ),
    "check_config": Setting(
        none("Use `carboy run --check-config`."), FLAG, ("--check-config",)
    ),
    "print_config": Setting(
        none("Use `carboy run --print-config`."), FLAG, ("--print-config",)
    ),
    # --- addresses
    "bind": Setting(same("bind", binds), LIST, ("-b", "--bind")),
    "backlog": Setting(same("backlog", number), VALUE, ("--backlog",)),
    "reuse_port": Setting(
        unneeded("Workers share the sockets, and connections are distributed by load."),
        FLAG, ("--reuse-port",),
    ),
    "umask": Setting(same("umask", octal), VALUE, ("-m", "--umask")),
    "user": Setting(same("user"), VALUE, ("-u", "--user")),
    "group": Setting(same("group"), VALUE, ("-g", "--group")),
    "initgroups": Setting(
        unneeded("With --user, the process gets the groups of the user."), FLAG, ("--initgroups",)
    ),
    "daemon": Setting(
        none("Use a service manager, such as systemd."), FLAG, ("-D", "--daemon")
    ),
    "pidfile": Setting(same("pid_file"), VALUE, ("-p", "--pid")),
    # --- workers
    "workers": Setting(same("workers", number), VALUE, ("-w", "--workers")),
    "worker_class": Setting(
        unneeded("The interface of the application decides; see --threads."),
        VALUE, ("-k", "--worker-class"),
    ),
    "threads": Setting(same("threads", number), VALUE, ("--threads",)),
    "worker_connections": Setting(
        same("connections", number, "It limits open connections, not running requests."),
        VALUE, ("--worker-connections",),
    ),
    "max_requests": Setting(same("max_requests", positive), VALUE, ("--max-requests",)),
    "max_requests_jitter": Setting(
        same("max_requests_jitter", positive), VALUE, ("--max-requests-jitter",)
    ),
    "timeout": Setting(
        like(
            "worker_timeout",
            "A worker without a sign of life is replaced; a slow request alone does not count."
            " --request-timeout ends a request.",
            seconds,
        ),
        VALUE, ("-t", "--timeout"),
    ),
    "graceful_timeout": Setting(
        same("graceful_timeout", seconds), VALUE, ("--graceful-timeout",)
    ),
    "keepalive": Setting(same("keepalive_timeout", seconds), VALUE, ("--keep-alive",)),
    "preload_app": Setting(same("preload", truth), FLAG, ("--preload",)),
    "worker_tmp_dir": Setting(
        like(
            "worker_tmp_dir",
            "It is the folder of large request bodies; signs of life are in shared memory.",
            _tmp_dir,
        ),
        VALUE, ("--worker-tmp-dir",),
    ),
    "tmp_upload_dir": Setting(same("worker_tmp_dir"), NOWHERE),
    "sendfile": Setting(same("sendfile", truth), FLAG, ("--no-sendfile",)),
    "proc_name": Setting(
        PROCESS_NAME, VALUE, ("-n", "--name")
    ),
    "default_proc_name": Setting(PROCESS_NAME, NOWHERE),
    # --- limits
    "limit_request_line": Setting(
        same("limit_request_line", positive), VALUE, ("--limit-request-line",)
    ),
    "limit_request_fields": Setting(
        same("limit_fields_count", positive), VALUE, ("--limit-request-fields",)
    ),
    "limit_request_field_size": Setting(
        same("limit_field_line", positive), VALUE, ("--limit-request-field_size",)
    ),
    "permit_obsolete_folding": Setting(STRICT, FLAG, ("--permit-obsolete-folding",)),
    "strip_header_spaces": Setting(STRICT, FLAG, ("--strip-header-spaces",)),
    "permit_unconventional_http_method": Setting(
        unneeded("Every method that is a token is accepted."),
        FLAG, ("--permit-unconventional-http-method",),
    ),
    "permit_unconventional_http_version": Setting(
        STRICT, FLAG, ("--permit-unconventional-http-version",)
    ),
    "casefold_http_method": Setting(STRICT, FLAG, ("--casefold-http-method",)),
    "header_map": Setting(
        same("limit_underscore_fields", _underscores), VALUE, ("--header-map",)
    ),
    "http_parser": Setting(
        PARSER, VALUE, ("--http-parser",)
    ),
    # --- proxies
    "forwarded_allow_ips": Setting(
        same("trusted_proxies", proxies), VALUE, ("--forwarded-allow-ips",)
    ),
    "secure_scheme_headers": Setting(
        none("Let the proxy send X-Forwarded-Proto or Forwarded."), NOWHERE
    ),
    "forwarder_headers": Setting(
        none("Use --root-path, or let the proxy send X-Forwarded-Prefix."),
        VALUE, ("--forwarder-headers",),
    ),
    "proxy_protocol": Setting(
        same("proxy_protocol", _proxy_protocol), VALUE, ("--proxy-protocol",)
    ),
    "proxy_allow_ips": Setting(
        same("trusted_proxies", proxies), VALUE, ("--proxy-allow-from",)
    ),
    "protocol": Setting(
        none("Carboy speaks HTTP. Use proxy_pass in nginx, not uwsgi_pass."),
        VALUE, ("--protocol",),
    ),
    "uwsgi_allow_ips": Setting(
        none("Carboy does not speak the protocol uwsgi."), VALUE, ("--uwsgi-allow-from",)
    ),
    "root_path": Setting(same("root_path"), VALUE, ("--root-path",)),
    # --- logs
    "accesslog": Setting(same("access_log_file", _access_log), VALUE, ("--access-logfile",)),
    "access_log_format": Setting(
        same("access_log_format", _access_format), VALUE, ("--access-logformat",)
    ),
    "disable_redirect_access_to_syslog": Setting(
        unneeded("The access log does not go to syslog."),
        FLAG, ("--disable-redirect-access-to-syslog",),
    ),
    "errorlog": Setting(
        like("", "The error log goes to standard error.", _errors),
        VALUE, ("--error-logfile", "--log-file"),
    ),
    "loglevel": Setting(
        LEVEL, VALUE, ("--log-level",),
    ),
    "capture_output": Setting(
        unneeded("Output of the application is not changed."), FLAG, ("--capture-output",)
    ),
    "logger_class": Setting(LOGGING, VALUE, ("--logger-class",)),
    "logconfig": Setting(LOGGING, VALUE, ("--log-config",)),
    "logconfig_dict": Setting(LOGGING, NOWHERE),
    "logconfig_json": Setting(LOGGING, VALUE, ("--log-config-json",)),
    "syslog_addr": Setting(SYSLOG, VALUE, ("--log-syslog-to",)),
    "syslog": Setting(SYSLOG, FLAG, ("--log-syslog",)),
    "syslog_prefix": Setting(SYSLOG, VALUE, ("--log-syslog-prefix",)),
    "syslog_facility": Setting(SYSLOG, VALUE, ("--log-syslog-facility",)),
    "enable_stdio_inheritance": Setting(
        unneeded("Workers write to the streams of the server."),
        FLAG, ("-R", "--enable-stdio-inheritance"),
    ),
    "statsd_host": Setting(same("statsd"), VALUE, ("--statsd-host",)),
    "statsd_prefix": Setting(same("statsd_prefix"), VALUE, ("--statsd-prefix",)),
    "dogstatsd_tags": Setting(same("statsd_tags"), VALUE, ("--dogstatsd-tags",)),
    "enable_backlog_metric": Setting(
        none("Requests that wait for a thread are measured instead."),
        FLAG, ("--enable-backlog-metric",),
    ),
    # --- functions
    **{
        name: Setting(HOOK, NOWHERE)
        for name in (
            "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init",
            "worker_int", "worker_abort", "pre_exec", "pre_request", "post_request", "child_exit",
            "worker_exit", "nworkers_changed", "on_exit",
        )
    },
    # --- TLS and HTTP/2
    "ssl_context": Setting(
        none("Use --tls-min, --tls-ciphers, --tls-curve and --client-ca."), NOWHERE
    ),
    "keyfile": Setting(same("key"), VALUE, ("--keyfile",)),
    "certfile": Setting(same("cert"), VALUE, ("--certfile",)),
    "ssl_version": Setting(
        TLS_VERSIONS, VALUE, ("--ssl-version",),
    ),
    "cert_reqs": Setting(same("client_cert", client_cert), VALUE, ("--cert-reqs",)),
    "ca_certs": Setting(same("client_ca"), VALUE, ("--ca-certs",)),
    "suppress_ragged_eofs": Setting(
        unneeded("A connection that ends without a close of TLS is not an error."),
        FLAG, ("--suppress-ragged-eofs",),
    ),
    "do_handshake_on_connect": Setting(
        unneeded("Handshakes do not hold a thread."), FLAG, ("--do-handshake-on-connect",)
    ),
    "ciphers": Setting(same("tls_ciphers"), VALUE, ("--ciphers",)),
    "http_protocols": Setting(same("http2", _http2), VALUE, ("--http-protocols",)),
    "http2_cleartext": Setting(same("h2c", truth), VALUE, ("--http2-cleartext",)),
    "http2_max_concurrent_streams": Setting(
        same("http2_streams", number), VALUE, ("--http2-max-concurrent-streams",)
    ),
    "http2_initial_window_size": Setting(
        same("http2_window", number), VALUE, ("--http2-initial-window-size",)
    ),
    "http2_max_frame_size": Setting(
        FRAME_SIZE, VALUE, ("--http2-max-frame-size",),
    ),
    "http2_max_header_list_size": Setting(
        same("http2_header_list", number), VALUE, ("--http2-max-header-list-size",)
    ),
    # --- ASGI and WebSocket
    "asgi_loop": Setting(same("loop", loop), VALUE, ("--asgi-loop",)),
    "asgi_lifespan": Setting(
        LIFESPAN, VALUE, ("--asgi-lifespan",)
    ),
    "asgi_disconnect_grace_period": Setting(
        none("The application learns at once that its client has disconnected."),
        VALUE, ("--asgi-disconnect-grace-period",),
    ),
    "websocket_max_message_size": Setting(
        same("websocket_max_message", number), VALUE, ("--websocket-max-message-size",)
    ),
    # --- other processes
    "dirty_apps": Setting(DIRTY, LIST, ("--dirty-app",)),
    **{
        name: Setting(DIRTY, VALUE, (f"--{name.replace('_', '-')}",))
        for name in ("dirty_workers", "dirty_timeout", "dirty_threads", "dirty_graceful_timeout")
    },
    **{
        name: Setting(DIRTY, NOWHERE)
        for name in (
            "on_dirty_starting", "dirty_post_fork", "dirty_worker_init", "dirty_worker_exit"
        )
    },
    "control_socket": Setting(same("admin"), VALUE, ("--control-socket",)),
    "control_socket_mode": Setting(
        none("The admin socket has the mode 600."), VALUE, ("--control-socket-mode",)
    ),
    "control_socket_disable": Setting(
        same("admin", _no_admin), FLAG, ("--no-control-socket",)
    ),
}  # fmt: skip
