"""The options of uWSGI 2.0 that are used most: what happens to each.

The names are those of uWSGI's documentation, with `-`; uWSGI reads `_` as `-`.
"""

from __future__ import annotations

from typing import Any

from carboy.cli.migrate.rules import (
    SKIP,
    Rule,
    Setting,
    Table,
    Takes,
    bind_of,
    like,
    none,
    number,
    octal,
    positive,
    same,
    seconds,
    truth,
    turned_off,
    unneeded,
)

VALUE, LIST, FLAG = Takes.VALUE, Takes.LIST, Takes.FLAG
PROXY = "The proxy has to speak HTTP: proxy_pass instead of uwsgi_pass in nginx."
EMPEROR = none("Use one service of the service manager for each application.")
QUEUE = none("Run a queue of your own beside the workers: --with 'huey_consumer app.huey'.")
CHEAPER = none(
    "The number of workers does not change with the load. Threads are started on demand."
)
RELOAD = none("Send SIGHUP after a deployment; `carboy dev` reloads when files change.")
CACHING = none("Use the cache of the framework, or --cache for responses.")
LOGGING = none("Error log and output go to standard error and output; the access log has options.")
ERRORS = none("--access-log-sample 0.01 logs all errors, and one of a hundred other requests.")
GREEN = none("Green threads are not supported. Raise --threads for handlers that wait.")


def _socket(value: Any) -> list[str]:
    text = str(value).partition(",")[0].strip()
    if ":" in text or text.isdecimal() or "$" in text:
        return [bind_of(text)]
    return [f"unix:{text}"]


def _https(value: Any) -> list[str]:
    return [bind_of(str(value).split(",")[0])]


def _static(value: Any) -> list[str]:
    prefix, equals, folder = str(value).partition("=")
    if not equals:
        raise ValueError(f"{value} is not PREFIX=FOLDER.")
    return [f"/{prefix.strip('/')}={folder}"]


def _static_whole(value: Any) -> list[str]:
    """static-map2 looks for the whole path below the folder, with the prefix."""
    prefix, equals, folder = str(value).partition("=")
    if not equals:
        raise ValueError(f"{value} is not PREFIX=FOLDER.")
    return [f"/{prefix.strip('/')}={folder.rstrip('/')}/{prefix.strip('/')}"]


def _docroot(value: Any) -> list[str]:
    return [f"/={value}"]


def _megabytes(value: Any) -> str:
    return f"{number(value)}m"


def _mount(value: Any) -> list[str]:
    prefix, equals, app = str(value).partition("=")
    if not equals:
        raise ValueError(f"{value} is not PREFIX=APP.")
    return [f"/{prefix.strip('/')}={app}"]


def _chmod(value: Any) -> str:
    return octal("666" if truth(value) and str(value).lower() in ("true", "1") else value)


def _group(value: Any) -> Any:
    """The group of USER:GROUP."""
    return str(value).partition(":")[2] or SKIP


def _port(value: Any) -> int:
    return number(str(value).rpartition(":")[2])


def _keepalive(value: Any) -> Any:
    """1 turns keep-alive on; a larger number is the time."""
    text = str(value).strip().lower()
    return SKIP if text in ("", "true", "0", "1") else seconds(text)


def _expires(value: Any) -> Any:
    """The seconds of `PATTERN SECONDS`."""
    return number(str(value).rpartition(" ")[2])


def _stats(value: Any) -> str:
    text = str(value)
    return bind_of(text) if ":" in text else text


STATS = like("admin", "It speaks HTTP. `carboy status` reads it.", _stats)


def _value(rule: Rule, *short: str) -> Setting:
    return Setting(rule, VALUE, short)


def _list(rule: Rule, *short: str) -> Setting:
    return Setting(rule, LIST, short)


def _flag(rule: Rule, *short: str) -> Setting:
    return Setting(rule, FLAG, short)


UWSGI: Table = {
    # --- addresses
    "socket": _list(like("bind", PROXY, _socket), "-s"),
    "uwsgi-socket": _list(like("bind", PROXY, _socket)),
    "http": _list(same("bind", _socket)),
    "http-socket": _list(same("bind", _socket)),
    "https": _list(like("bind", "ADDRESS,CERTIFICATE,KEY: see --cert and --key.", _https)),
    "fastcgi-socket": _list(like("bind", "The proxy has to speak HTTP, not FastCGI.", _socket)),
    "scgi-socket": _list(like("bind", "The proxy has to speak HTTP, not SCGI.", _socket)),
    "protocol": _value(none(PROXY)),
    "listen": _value(same("backlog", number), "-l"),
    "chmod-socket": _value(same("socket_mode", _chmod), "-C"),
    "chown-socket": _value(
        like("socket_group", "The socket belongs to the user of the server.", _group)
    ),
    "umask": _value(same("umask", octal)),
    "reuse-port": _flag(unneeded("Workers share the sockets.")),
    "so-keepalive": _flag(unneeded("TCP keep-alive is on.")),
    "tcp-nodelay": _flag(unneeded("TCP_NODELAY is on.")),
    "socket-timeout": _value(same("silence_timeout", seconds), "-z"),
    "socket-send-timeout": _value(same("silence_timeout", seconds)),
    "socket-write-timeout": _value(same("silence_timeout", seconds)),
    "http-timeout": _value(same("silence_timeout", seconds)),
    "http-keepalive": _value(
        like("keepalive_timeout", "Connections are kept open in any case.", _keepalive)
    ),
    "http-auto-chunked": _flag(unneeded("Responses without a length are chunked.")),
    "http-chunked-input": _flag(unneeded("Chunked bodies are read.")),
    "http-to-https": _value(same("redirect_http", _port)),
    "http-websockets": _flag(unneeded("WebSockets work with the extra carboy[websocket].")),
    "http-processes": _value(unneeded("There is no router before the workers.")),
    # --- the application
    "module": _value(same("app"), "-w"),
    "wsgi": _value(same("app")),
    "wsgi-file": _value(same("app")),
    "file": _value(same("app")),
    "callable": _value(unneeded("It is a part of the name of the application.")),
    "mount": _list(same("mount", _mount)),
    "manage-script-name": _flag(unneeded("--mount sets SCRIPT_NAME.")),
    "pythonpath": _list(none("Set the variable PYTHONPATH."), "--python-path", "--pp"),
    "virtualenv": _value(
        none("Run the command carboy of the virtual environment."), "-H", "--home", "--venv"
    ),
    "pyhome": _value(none("Run the command carboy of the virtual environment.")),
    "chdir": _value(same("chdir")),
    "chdir2": _value(same("chdir")),
    "env": _list(same("env", lambda value: [str(value)])),
    "for-readline": _list(none("Write out the lines of the loop, and migrate them.")),
    "plugin": _list(unneeded("Carboy runs in the Python that starts it."), "--plugins"),
    "plugins": _list(unneeded("Carboy runs in the Python that starts it.")),
    "need-app": _flag(unneeded("Without an application the server does not start.")),
    "single-interpreter": _flag(unneeded("Each worker has one interpreter."), "-i"),
    "lazy-apps": _flag(unneeded("Each worker loads the application; --preload changes that.")),
    "lazy": _flag(unneeded("Each worker loads the application; --preload changes that.")),
    "enable-threads": _flag(unneeded("Threads of the application always run."), "-T"),
    "strict": _flag(unneeded("An unknown option is always an error.")),
    "py-autoreload": _value(RELOAD, "--python-autoreload"),
    "touch-reload": _list(RELOAD),
    "touch-chain-reload": _list(RELOAD),
    "optimize": _value(none("Set the variable PYTHONOPTIMIZE."), "-O"),
    # --- processes and threads
    "processes": _value(same("workers", number), "-p", "--workers"),
    "workers": _value(same("workers", number)),
    "threads": _value(same("threads", number)),
    "master": _flag(unneeded("A supervisor runs above the workers; see --supervisor."), "-M"),
    "thunder-lock": _flag(unneeded("A connection wakes one worker.")),
    "threads-stacksize": _value(none("Call threading.stack_size in the application.")),
    "cheaper": _value(CHEAPER),
    "cheaper-initial": _value(CHEAPER),
    "cheaper-step": _value(CHEAPER),
    "cheaper-algo": _value(CHEAPER),
    "idle": _value(none("A server that has nothing to do stays.")),
    "gevent": _value(GREEN),
    "gevent-monkey-patch": _flag(GREEN),
    "asyncio": _value(GREEN),
    "greenlet": _flag(GREEN),
    "ugreen": _flag(GREEN),
    "cpu-affinity": _value(none("Use taskset, or CPUAffinity= of systemd.")),
    "harakiri": _value(
        like(
            "request_timeout",
            "It ends the request with 503, and its worker only if the request does not end.",
            seconds,
        )
    ),
    "harakiri-verbose": _flag(unneeded("The stacks of the threads are logged.")),
    "max-requests": _value(same("max_requests", positive), "-R"),
    "max-requests-delta": _value(same("max_requests_jitter", positive)),
    "min-worker-lifetime": _value(none("A worker that ends at once is started again later.")),
    "max-worker-lifetime": _value(same("max_lifetime", seconds)),
    "reload-on-rss": _value(same("max_memory", _megabytes)),
    "evil-reload-on-rss": _value(same("max_memory", _megabytes)),
    "reload-on-as": _value(none("--max-memory counts resident memory, not address space.")),
    "limit-as": _value(none("Use MemoryMax= of systemd, or the limit of the container.")),
    "worker-reload-mercy": _value(same("graceful_timeout", seconds)),
    "reload-mercy": _value(same("graceful_timeout", seconds)),
    "hook-master-start": _list(none("Use a hook of the service manager.")),
    "exec-asap": _list(none("Use ExecStartPre= of systemd, or the entrypoint.")),
    "exec-pre-app": _list(none("Use ExecStartPre= of systemd, or the entrypoint.")),
    "attach-daemon": _list(same("with", lambda value: [str(value)])),
    "smart-attach-daemon": _list(none("Use a service of the service manager.")),
    "offload-threads": _value(unneeded("Files and slow clients do not hold a thread.")),
    "die-on-term": _flag(unneeded("SIGTERM stops the server gracefully.")),
    "vacuum": _flag(unneeded("The files of sockets are removed at the end.")),
    "no-orphans": _flag(unneeded("Workers end when the supervisor has gone.")),
    "auto-procname": _flag(none("The name of the processes stays carboy.")),
    "procname": _value(none("The name of the processes stays carboy.")),
    "procname-prefix": _value(none("The name of the processes stays carboy.")),
    "uid": _value(same("user"), "--user"),
    "gid": _value(same("group"), "--group"),
    "daemonize": _value(none("Use a service manager, such as systemd."), "-d"),
    "daemonize2": _value(none("Use a service manager, such as systemd.")),
    "pidfile": _value(same("pid_file")),
    "pidfile2": _value(same("pid_file")),
    "safe-pidfile": _value(same("pid_file")),
    # --- limits
    "buffer-size": _value(
        like("limit_fields_size", "The limit of all header fields.", number), "-b"
    ),
    "post-buffering": _value(
        like("spool_limit", "Bodies are received before the application is called.", number)
    ),
    "limit-post": _value(same("limit_body", positive)),
    # --- static files
    "static-map": _list(same("static", _static)),
    "static-map2": _list(same("static", _static_whole)),
    "check-static": _list(same("static", _docroot), "--static-check"),
    "static-index": _list(like("static_index", "The file has the name index.html.", truth)),
    "static-expires": _list(
        like("static_max_age", "One time counts for all static files.", _expires)
    ),
    "static-gzip-all": _flag(unneeded("Files that are compressed beside the originals are used.")),
    "route": _list(none("Write such rules in the application, or in the proxy.")),
    "route-host": _list(none("Write such rules in the application, or in the proxy.")),
    "add-header": _list(none("Add headers in the application, or in a middleware.")),
    "wsgi-disable-file-wrapper": _flag(same("sendfile", turned_off)),
    # --- logs
    "logto": _value(LOGGING),
    "logto2": _value(LOGGING),
    "logger": _list(LOGGING),
    "req-logger": _list(LOGGING),
    "log-master": _flag(LOGGING),
    "log-date": _flag(unneeded("Log lines have a date.")),
    "log-format": _value(none("Its variables differ: --access-log-format."), "--logformat"),
    "logformat": _value(none("Its variables differ: --access-log-format.")),
    "log-maxsize": _value(none("Use logrotate; the server notices that a file was moved.")),
    "log-reopen": _flag(unneeded("A log file that was moved is opened again by itself.")),
    "disable-logging": _flag(same("access_log", turned_off), "-L"),
    "log-4xx": _flag(ERRORS),
    "log-5xx": _flag(ERRORS),
    "log-slow": _value(same("slow", lambda value: number(value) / 1000)),
    "log-x-forwarded-for": _flag(like("trusted_proxies", "Name the proxies.", lambda _: SKIP)),
    "ignore-sigpipe": _flag(unneeded("A client that goes is not an error.")),
    "ignore-write-errors": _flag(unneeded("A client that goes is not an error.")),
    "disable-write-exception": _flag(unneeded("A client that goes is not an error.")),
    "py-tracebacker": _value(like("admin", "`carboy stacks` shows the stacks.", lambda _: SKIP)),
    "stats": _value(STATS),
    "stats-http": _flag(unneeded("The admin socket speaks HTTP.")),
    "stats-server": _value(STATS),
    "memory-report": _flag(none("Use `carboy memory`."), "-m"),
    "carbon": _list(none("Use /metrics, or --statsd.")),
    "master-fifo": _list(none("Send signals, or use `carboy reload` and `carboy scale`.")),
    # --- other parts of uWSGI
    "cache2": _list(CACHING),
    "cache": _value(CACHING),
    "spooler": _list(QUEUE, "-Q"),
    "spooler-processes": _value(QUEUE),
    "mule": _list(QUEUE),
    "mules": _value(QUEUE),
    "farm": _list(QUEUE),
    "cron": _list(none('Use @app.every("5m"), or a timer of systemd.')),
    "unique-cron": _list(none('Use @app.every("5m"), or a timer of systemd.')),
    "timer": _list(none('Use @app.every("5m").')),
    "emperor": _value(EMPEROR),
    "vassals-inherit": _list(EMPEROR),
    "subscribe-to": _list(EMPEROR),
    "fastrouter": _value(EMPEROR),
    "ini": _list(none("Migrate this file as well.")),
    "include": _list(none("Migrate this file as well.")),
    "set-placeholder": _list(unneeded("The values have been put in their places."), "--set-ph"),
}  # fmt: skip
