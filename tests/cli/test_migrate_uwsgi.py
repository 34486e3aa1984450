"""Each setting of uWSGI that `carboy migrate` knows: its translation, or why it has none."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest

from carboy.cli.main import make_group
from carboy.cli.migrate.given import Given
from carboy.cli.migrate.migration import Migration
from carboy.cli.migrate.rules import Table, Verdict
from carboy.cli.migrate.servers import SERVERS

GROUP = make_group()
RUN = {str(each.name): each for each in GROUP.commands["run"].params}
UWSGI = SERVERS["uwsgi"].table

# A value as uWSGI takes it, and what `carboy run` gets.
TRANSLATED: list[tuple[str, str, dict[str, Any]]] = [
    ("socket", "/run/shop.sock", {"bind": ["unix:/run/shop.sock"]}),
    ("socket", "127.0.0.1:3031", {"bind": ["127.0.0.1:3031"]}),
    ("uwsgi-socket", ":3031", {"bind": ["0.0.0.0:3031"]}),
    ("http", "0.0.0.0:8080", {"bind": ["0.0.0.0:8080"]}),
    ("http", "8080", {"bind": ["0.0.0.0:8080"]}),
    ("http-socket", ":8080", {"bind": ["0.0.0.0:8080"]}),
    ("https", "0.0.0.0:8443,shop.crt,shop.key", {"bind": ["0.0.0.0:8443"]}),
    ("fastcgi-socket", ":9000", {"bind": ["0.0.0.0:9000"]}),
    ("scgi-socket", "scgi.sock", {"bind": ["unix:scgi.sock"]}),
    ("listen", "1024", {"backlog": 1024}),
    ("chmod-socket", "664", {"socket_mode": "664"}),
    ("chmod-socket", "true", {"socket_mode": "666"}),
    ("chown-socket", "shop:www-data", {"socket_group": "www-data"}),
    ("chown-socket", "shop", {}),
    ("umask", "027", {"umask": "27"}),
    ("socket-timeout", "30", {"silence_timeout": 30}),
    ("socket-send-timeout", "30", {"silence_timeout": 30}),
    ("socket-write-timeout", "30", {"silence_timeout": 30}),
    ("http-timeout", "120", {"silence_timeout": 120}),
    ("http-keepalive", "30", {"keepalive_timeout": 30}),
    ("http-keepalive", "1", {}),
    ("http-keepalive", "true", {}),
    ("http-to-https", "0.0.0.0:80", {"redirect_http": 80}),
    ("module", "shop.wsgi:application", {"app": "shop.wsgi:application"}),
    ("wsgi", "shop:app", {"app": "shop:app"}),
    ("wsgi-file", "shop.py", {"app": "shop.py"}),
    ("file", "shop.py", {"app": "shop.py"}),
    ("mount", "/admin=admin.py", {"mount": ["/admin=admin.py"]}),
    ("chdir", "/srv/shop", {"chdir": "/srv/shop"}),
    ("chdir2", "/srv/shop", {"chdir": "/srv/shop"}),
    ("env", "SHOP=1", {"env": {"SHOP": "1"}}),
    ("processes", "4", {"workers": 4}),
    ("workers", "4", {"workers": 4}),
    ("threads", "2", {"threads": 2}),
    ("harakiri", "30", {"request_timeout": 30}),
    ("max-requests", "5000", {"max_requests": 5000}),
    ("max-requests", "0", {}),
    ("max-requests-delta", "500", {"max_requests_jitter": 500}),
    ("max-worker-lifetime", "3600", {"max_lifetime": 3600}),
    ("reload-on-rss", "512", {"max_memory": "512m"}),
    ("evil-reload-on-rss", "512", {"max_memory": "512m"}),
    ("worker-reload-mercy", "60", {"graceful_timeout": 60}),
    ("reload-mercy", "8", {"graceful_timeout": 8}),
    ("attach-daemon", "huey_consumer app.huey", {"with": ["huey_consumer app.huey"]}),
    ("uid", "www-data", {"user": "www-data"}),
    ("gid", "www-data", {"group": "www-data"}),
    ("pidfile", "/run/shop.pid", {"pid_file": "/run/shop.pid"}),
    ("pidfile2", "/run/shop.pid", {"pid_file": "/run/shop.pid"}),
    ("safe-pidfile", "/run/shop.pid", {"pid_file": "/run/shop.pid"}),
    ("buffer-size", "32768", {"limit_fields_size": 32768}),
    ("post-buffering", "4096", {"spool_limit": 4096}),
    ("limit-post", "1048576", {"limit_body": 1048576}),
    ("limit-post", "0", {}),
    ("static-map", "/static=/srv/static", {"static": ["/static=/srv/static"]}),
    ("static-map2", "/static=/srv", {"static": ["/static=/srv/static"]}),
    ("check-static", "/srv/public", {"static": ["/=/srv/public"]}),
    ("static-index", "index.html", {"static_index": True}),
    ("static-expires", "/* 7776000", {"static_max_age": 7776000}),
    ("wsgi-disable-file-wrapper", "true", {"sendfile": False}),
    ("disable-logging", "true", {"access_log": False}),
    ("log-slow", "1500", {"slow": 1.5}),
    ("log-x-forwarded-for", "true", {}),
    ("py-tracebacker", "/tmp/tb", {}),
    ("stats", "127.0.0.1:9191", {"admin": ["127.0.0.1:9191"]}),
    ("stats", "/tmp/stats.sock", {"admin": ["/tmp/stats.sock"]}),
    ("stats-server", ":9191", {"admin": ["0.0.0.0:9191"]}),
]
# A word of the reason why there is no option.
REASONS = {
    "protocol": "proxy_pass", "reuse-port": "share", "so-keepalive": "TCP keep-alive",
    "tcp-nodelay": "TCP_NODELAY", "http-auto-chunked": "chunked", "http-chunked-input": "Chunked",
    "http-websockets": "websocket", "http-processes": "router", "callable": "name",
    "manage-script-name": "SCRIPT_NAME", "pythonpath": "PYTHONPATH", "virtualenv": "environment",
    "pyhome": "environment", "for-readline": "loop", "plugin": "Python", "plugins": "Python",
    "need-app": "does not start", "single-interpreter": "interpreter", "lazy-apps": "--preload",
    "lazy": "--preload", "enable-threads": "always run", "strict": "error",
    "py-autoreload": "carboy dev", "touch-reload": "SIGHUP", "touch-chain-reload": "SIGHUP",
    "optimize": "PYTHONOPTIMIZE", "master": "supervisor", "thunder-lock": "one worker",
    "threads-stacksize": "stack_size", "cheaper": "load", "cheaper-initial": "load",
    "cheaper-step": "load", "cheaper-algo": "load", "idle": "stays", "gevent": "--threads",
    "gevent-monkey-patch": "--threads", "asyncio": "--threads", "greenlet": "--threads",
    "ugreen": "--threads", "cpu-affinity": "taskset", "harakiri-verbose": "stacks",
    "min-worker-lifetime": "later", "reload-on-as": "resident", "limit-as": "MemoryMax=",
    "hook-master-start": "service manager", "exec-asap": "ExecStartPre=",
    "exec-pre-app": "ExecStartPre=", "smart-attach-daemon": "service manager",
    "offload-threads": "thread", "die-on-term": "gracefully", "vacuum": "removed",
    "no-orphans": "supervisor", "auto-procname": "name", "procname": "name",
    "procname-prefix": "name", "daemonize": "systemd", "daemonize2": "systemd",
    "static-gzip-all": "compressed", "route": "proxy", "route-host": "proxy",
    "add-header": "middleware", "logto": "standard", "logto2": "standard", "logger": "standard",
    "req-logger": "standard", "log-master": "standard", "log-date": "date",
    "log-format": "--access-log-format", "logformat": "--access-log-format",
    "log-maxsize": "logrotate", "log-reopen": "by itself", "log-4xx": "--access-log-sample",
    "log-5xx": "--access-log-sample", "ignore-sigpipe": "client",
    "ignore-write-errors": "client", "disable-write-exception": "client", "stats-http": "HTTP",
    "memory-report": "carboy memory", "carbon": "--statsd", "master-fifo": "carboy reload",
    "cache2": "--cache", "cache": "--cache", "spooler": "--with", "spooler-processes": "--with",
    "mule": "--with", "mules": "--with", "farm": "--with", "cron": "@app.every",
    "unique-cron": "@app.every", "timer": "@app.every", "emperor": "service manager",
    "vassals-inherit": "service manager", "subscribe-to": "service manager",
    "fastrouter": "service manager", "ini": "as well", "include": "as well",
    "set-placeholder": "their places",
}  # fmt: skip


def migrated(name: str, value: str) -> Migration:
    found = Migration(SERVERS["uwsgi"], RUN)
    found.apply([Given(name, value, f"{name} = {value}", "uwsgi.ini:1")])
    return found


def test_every_setting_has_a_row_here() -> None:
    assert {name for name, _, _ in TRANSLATED} | set(REASONS) == set(UWSGI)
    assert len(UWSGI) >= 100
    assert not {name for name, _, _ in TRANSLATED} & set(REASONS)


@pytest.mark.parametrize(("name", "value", "options"), TRANSLATED)
def test_a_setting_with_an_option_is_translated(
    name: str, value: str, options: dict[str, Any]
) -> None:
    found = migrated(name, value)
    result = dict(found.options)
    if found.app:
        result["app"] = found.app
    if found.variables:
        result["env"] = found.variables
    assert result == options, found.findings
    (finding,) = found.findings
    assert (finding.verdict is Verdict.UNNEEDED) == (not options)


@pytest.mark.parametrize(("name", "word"), REASONS.items())
def test_a_setting_without_an_option_has_its_reason(name: str, word: str) -> None:
    found = migrated(name, "1")
    (finding,) = found.findings
    assert found.options == {} and finding.verdict in (Verdict.NONE, Verdict.UNNEEDED)
    assert word in finding.note and finding.note.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [("processes", "many"), ("static-map", "/srv"), ("static-map2", "/srv"), ("mount", "x"),
     ("http-to-https", "x"), ("listen", "-")],
)  # fmt: skip
def test_a_value_that_cannot_be_translated_is_reported(name: str, value: str) -> None:
    found = migrated(name, value)
    (finding,) = found.findings
    assert found.options == {} and finding.verdict is Verdict.NONE


@pytest.mark.parametrize("server", SERVERS)
def test_options_and_commands_that_a_reason_names_exist(server: str) -> None:
    options = {
        spelling
        for each in (*RUN.values(), *GROUP.get_params(click.Context(GROUP)))
        for spelling in (*each.opts, *each.secondary_opts)
    }
    options.add("--version")  # of `carboy` itself
    commands = set(GROUP.list_commands(click.Context(GROUP)))
    table: Table = SERVERS[server].table
    for name, row in table.items():
        note = row.rule.note
        assert set(re.findall(r"(?<!\w)--[a-z][a-z0-9-]*", note)) <= options, name
        assert set(re.findall(r"`carboy ([a-z][a-z-]*)", note)) <= commands, name
