"""The rules for the rooms (docs/design.md, section 3): permitted imports, and lengths of code.

The table of rooms is held literally. Exceptions are listed with their reasons, and an exception
that is no longer needed fails a test, so that the lists below stay true.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from code_map import ROOMS, Import, Module, modules, points_upwards, room_arrows

CHECKOUT = Path(__file__).resolve().parents[1]
MODULES = modules(CHECKOUT)
EVERYTHING = ("carboy",)

# room: prefixes of what it may import besides itself and the standard library
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "grammar": (),
    "origins": (),
    "dates": ("carboy.late",),
    "engine_url": ("carboy.late",),
    "file_wrapper": (),
    "late": (),
    "lazy": (),
    "log_fields": ("carboy.request_identity",),
    "request_identity": (),
    "sizes": (),
    "spooled_body": (),
    "speedups": ("carboy._speedups",),  # whose modules it loads by name
    "thread_frames": (),
    # An application declares limits, a server enforces them, and both know the exception.
    # It notes in the current request that it waits for a service.
    "time_limits": ("carboy.request_identity",),
    "unix_path": (),
    "user_sockets": ("carboy.late", "carboy.unix_path"),
    "trace_context": ("carboy.late",),
    "uuid7": (),
    "werkzeug_log": (),
    "relay": ("carboy.late", "carboy.user_sockets"),
    # Cython files; a test below holds what they import.
    "_speedups": (),
    "protocol": ("carboy.grammar", "carboy.late", "carboy.origins", "carboy.speedups"),
    "net": ("carboy.thread_frames", "carboy.unix_path"),
    # It orders the certificates of a server, reads their fields and knows nothing of requests.
    "acme": ("carboy.net",),
    # Last-Modified of static files is a date.
    # Code of an application runs in a gateway, which says of which request.
    "gateway": (
        "carboy.protocol.events",
        "carboy.file_wrapper",
        "carboy.dates",
        "carboy.request_identity",
        "carboy.speedups",
    ),
    "server": (
        "carboy.acme",
        "carboy.gateway",
        "carboy.net",
        "carboy.protocol",
        "carboy.dates",
        "carboy.engine_url",
        "carboy.late",
        "carboy.relay",
        "carboy.sizes",  # --max-memory is a size or "auto"
        "carboy.speedups",
        "carboy.spooled_body",  # a received body, which http knows when it parses forms
        "carboy.thread_frames",
        "carboy.time_limits",
        "carboy.unix_path",
        "carboy.user_sockets",
        # The ids of requests, which both columns make and log.
        "carboy.log_fields",
        "carboy.request_identity",
        "carboy.trace_context",
        "carboy.uuid7",
    ),
    "http": (
        "carboy.grammar",
        "carboy.dates",
        "carboy.file_wrapper",
        "carboy.late",
        "carboy.lazy",
        "carboy.speedups",  # forms and queries have a compiled twin
        "carboy.spooled_body",
    ),
    "routing": ("carboy.http", "carboy.late"),
    # The lane of static files makes answers with files.
    "app": (
        "carboy.routing",
        "carboy.http",
        "carboy.dates",
        "carboy.file_wrapper",
        "carboy.late",
        "carboy.time_limits",
        "carboy.log_fields",
        "carboy.request_identity",
        "carboy.speedups",  # JSON and the direct lane have compiled twins
        "carboy.werkzeug_log",
    ),
    "shared": ("carboy.app", "carboy.http", "carboy.engine_url", "carboy.lazy"),
    "realtime": (
        "carboy.app",
        "carboy.http",
        "carboy.engine_url",
        "carboy.origins",
        "carboy.relay",
        "carboy.request_identity",  # the request of a WebSocket, for `carboy stacks`
        "carboy.shared",
        "carboy.sizes",
    ),
    "middleware": ("carboy.http", "carboy.file_wrapper"),
    "dev": (
        "carboy.http",
        "carboy.app.signals",
        "carboy.file_wrapper",
        "carboy.speedups",
        "carboy.thread_frames",
        "carboy.werkzeug_log",
    ),
    "serving": (
        "carboy.server",
        "carboy.net",
        "carboy.gateway",
        "carboy.protocol",
        "carboy.dates",
        "carboy.engine_url",
        "carboy.lazy",
        "carboy.werkzeug_log",
        "carboy.dev",
        "carboy.middleware",
    ),
    "testing": ("carboy.app", "carboy.http", "carboy.gateway", "carboy.dates", "carboy.lazy"),
    "cli": EVERYTHING,
    "compat": EVERYTHING,
}
# module: what this module alone may import besides
MODULE_MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # It runs a server in a thread.
    "carboy.testing.live": ("carboy.serving",),
    # A test's request takes the same way as a request from the socket: the HTTP parser reads the
    # request and checks the answer, so that both lanes are tested with what clients send.
    "carboy.testing.lanes": ("carboy.protocol",),
    # The other end of a WebSocket; the handshake is read like other requests.
    "carboy.testing.websocket": ("carboy.realtime.websocket_link", "carboy.protocol.machine"),
    # The event loop is shared by everything in a worker that awaits.
    "carboy.gateway.asgi": ("carboy.net.loop", "carboy.net.worker_loop"),
    "carboy.gateway.bridge": ("carboy.net.worker_loop",),
    "carboy.gateway.worker_hooks": ("carboy.net.worker_jobs", "carboy.net.worker_loop"),
    # Jobs of a worker end with it, so they are below the gateway that ends it.
    "carboy.app.after_response": ("carboy.net.worker_jobs", "carboy.net.worker_loop"),
    # The lock is in the folder of the user; threads are those of the worker.
    "carboy.app.timetable": (
        "carboy.net.threads",
        "carboy.net.worker_jobs",
        "carboy.net.worker_loop",
        "carboy.user_sockets",
    ),
    "carboy.app.loop": ("carboy.net.loop_watch", "carboy.net.worker_loop"),
    "carboy.app.pump": ("carboy.net.loop_watch", "carboy.net.worker_loop"),
    "carboy.gateway.lifespan": ("carboy.net.loop",),
    # It says which version serves.
    "carboy.server.admin.status": ("carboy.__version__",),
    "carboy.server.crashes.report": ("carboy.__version__",),
    # A WebSocket runs over a channel; its frames are those of the protocol room.
    "carboy.gateway.websocket": ("carboy.protocol.websocket",),
    # Exercises are checked from the recorded calls of the HTTP machine and its heads.
    "carboy.dev.learn.exchanges": ("carboy.protocol",),
    "carboy.dev.learn.recording": ("carboy.protocol",),
    # They run the HTTP machine again and show its states and its code.
    "carboy.dev.explain.wire_recording": ("carboy.protocol",),
    "carboy.dev.explain.machine_trace": ("carboy.protocol",),
    "carboy.dev.explain.byte_steps": ("carboy.protocol",),
    "carboy.dev.explain.step_page": ("carboy.protocol",),
    # They match a path with each rule, in Carboy's own form of rules.
    "carboy.dev.routes.matching": ("carboy.routing",),
    "carboy.dev.routes.refusals": ("carboy.routing",),
}
# compiled module (a file of _speedups): what it may import of this package
COMPILED_MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "form": ("carboy._speedups.slots",),
    "head": ("carboy._speedups.names", "carboy._speedups.slots"),
    "local": ("carboy._speedups.slots",),
    "environ": ("carboy._speedups.names",),
    "asgi": (
        "carboy._speedups",
        "carboy._speedups.asgi_call",
        "carboy._speedups.asgi_scope",
        "carboy._speedups.slots",
        "carboy.gateway.asgi",
        "carboy.gateway.asgi_first_step",
        "carboy.gateway.asgi_scope",
        "carboy.gateway.interface",
        "carboy.protocol.events",
        "carboy.request_identity",
        "carboy.server.connection",
        "carboy.server.exchange",
    ),
    "asgi_call": (
        "carboy._speedups.slots",
        "carboy.gateway",
        "carboy.server.connection",
        "carboy.server.exchange",
        "carboy.server.responder",
    ),
    "asgi_scope": (
        "carboy._speedups.slots",
        "carboy.gateway",
        "carboy.protocol.events",
        "carboy.server.connection",
    ),
    "wsgi": (
        "carboy._speedups.environ",
        "carboy._speedups.slots",
        "carboy.gateway",
        "carboy.gateway.route",
        "carboy.protocol.events",
        "carboy.request_identity",
        "carboy.server",
        "carboy.server.connection",
        "carboy.server.raw_socket",
    ),
    "cycle": ("carboy._speedups.routes", "carboy._speedups.slots"),
    "routes": ("carboy._speedups.slots",),
    "tls": ("carboy._speedups.slots", "carboy.net.tls", "carboy.net.tls_state"),
    "response": ("carboy._speedups.names", "carboy.protocol"),
    "machine": (
        "carboy._speedups.response",
        "carboy._speedups.slots",
        "carboy.protocol",
        "carboy.protocol.buffer",
        "carboy.protocol.events",
        "carboy.protocol.machine",
        "carboy.protocol.states",
    ),
    "turn": (
        "carboy._speedups.asgi",
        "carboy._speedups.asgi_call",
        "carboy._speedups.cycle",
        "carboy._speedups.machine",
        "carboy._speedups.plain_sockets",
        "carboy._speedups.slots",
        "carboy._speedups.tls",
        "carboy._speedups.wsgi",
        "carboy.gateway",
        "carboy.gateway.asgi",
        "carboy.gateway.direct",
        "carboy.gateway.path_shapes",
        "carboy.gateway.wsgi",
        "carboy.protocol",
        "carboy.protocol.buffer",
        "carboy.protocol.events",
        "carboy.protocol.machine",
        "carboy.protocol.states",
        "carboy.server.connection",
        "carboy.server.crew",
        "carboy.server.default_fields",
        "carboy.server.dispatching",
        "carboy.server.exchange",
        "carboy.server.in_flight",
        "carboy.server.responder",
    ),
}
# only under `if TYPE_CHECKING:`
MAY_IMPORT_FOR_TYPES: dict[str, tuple[str, ...]] = {
    "http": ("carboy.gateway.interface", "carboy.trace_context"),
    # The return type of app.test_client() is part of its signature.
    "app": ("carboy.gateway.interface", "carboy.testing"),
    "realtime": ("carboy.gateway.interface",),
}
# (room, room above it): why this arrow points upwards
UPWARD: dict[tuple[str, str], str] = {
    ("speedups", "_speedups"): "Compiled modules are loaded by name, from the room of their twins.",
    ("app", "serving"): "app.run() is Flask's method.",
    ("app", "testing"): "app.test_client() and app.test_cli_runner() are Flask's methods.",
    ("app", "realtime"): "@app.websocket() is a method of the application, as @app.route() is.",
    ("app", "cli"): "ScriptInfo is Flask's class; alone, it searches as `flask` does.",
    ("cli", "compat"): "`--flask` installs the names of Flask and Werkzeug.",
}
# what a room above sets in a module below: why
SET_FROM_ABOVE: dict[str, str] = {
    "carboy.testing.client.Client.default_lane": "The pytest plugin's --carboy-lane option.",
}

# module: imports of this package inside a function, each with its reason
LATE_IMPORTS: dict[str, dict[str, str]] = {
    "carboy.__main__": {"carboy.cli.main": "Signals are blocked before it loads."},
    "carboy.acme.keeper": {
        "carboy.acme.attempt": "Loads cryptography; needed only when a certificate is ordered."
    },
    "carboy.acme.prepare": {
        "carboy.acme.challenges": "Loads cryptography; needed only for the first certificate."
    },
    "carboy.app.app": {
        "carboy.testing": "The test clients are Flask's methods; they load when asked for.",
        "carboy.app.commands": "Loads click.",
        "carboy.app.logging": "Loads logging.",
        "carboy.app.loop": "Loads asyncio.",
        "carboy.app.templating": "Loads Jinja2.",
    },
    "carboy.cli.explain_servers": {
        "carboy.cli.mounts": "Recordings without mounts do not load it."
    },
    "carboy.app.async_body": {"carboy.app.pump": "Loads asyncio."},
    "carboy.app.commands": {
        "carboy.cli.flask": "ScriptInfo is Flask's class; alone, it searches as `flask` does.",
        "carboy.serving": "app.run() is Flask's method; the server is in the other column.",
    },
    "carboy.app.serving_hooks": {
        "carboy.app.lane": "Loads compiled functions; only a server needs them.",
        "carboy.app.request_modules": "Only a server needs to load them before a request does.",
        "carboy.app.timetable": "Loads hashlib and fcntl; needed only with app.every().",
        "carboy.testing": "test_app() is a method of the application, as in Quart.",
    },
    "carboy.app.sessions": {"carboy.app.session_signing": "Loads itsdangerous."},
    "carboy.app.registry": {
        "carboy.app.commands": "Loads click.",
        "carboy.app.templating": "Loads Jinja2.",
        "carboy.realtime.websocket_view": "Loads asyncio; most applications have no WebSocket.",
    },
    "carboy.cli.application": {
        "carboy.app.commands": "`carboy run` serves a WSGI application without the framework."
    },
    "carboy.cli.framework": {
        "carboy.app": "`carboy run` serves a WSGI application without the framework.",
    },
    "carboy.cli.locate": {
        "carboy.cli.tracebacks": "Only an error needs it; it loads parts of the debugger."
    },
    "carboy.cli.run": {
        "carboy.compat": "Needed only with --flask.",
        "carboy.cli.configuration.check": "Needed only with --check-config.",
        "carboy.cli.configuration.printed": "Needed only with --print-config.",
        "carboy.cli.configuration.schema": "Needed only with --config-schema.",
    },
    "carboy.compat.__main__": {"carboy.cli.main": "Scripts may not use the command line."},
    "carboy.compat.child.carboy_names": {
        "carboy.compat.install": "Runs at the start of each child process; most need no names."
    },
    "carboy.gateway.__init__": {
        "carboy.gateway.asgi": "Loads asyncio.",
        "carboy.gateway.asgi_first_step": "Loads asyncio.",
        "carboy.gateway.bridge": "Loads asyncio.",
    },
    "carboy.gateway.worker_hooks": {"carboy.gateway.lifespan": "Loads asyncio."},
    "carboy.gateway.mounts": {
        "carboy.gateway.asgi": "Loads asyncio; only WSGI servers and test clients need it.",
        "carboy.gateway.bridge": "Loads asyncio; only WSGI servers and test clients need it.",
    },
    "carboy.http.exceptions": {
        "carboy.http.response.response": (
            "An exception makes its page when it is answered; responses need BadRequestKeyError."
        )
    },
    "carboy.http.request.fields": {
        "carboy.http.request.client_certificate": "Few servers ask for certificates of clients."
    },
    "carboy.http.request.request": {
        "carboy.http.request.environ_builder": (
            "Only Request.from_values() needs the builder, which imports the request class."
        )
    },
    "carboy.server.exchange": {
        "carboy.gateway.websocket": "Loads websockets, an optional dependency."
    },
    "carboy.net.worker_loop": {"carboy.net.loop": "Loads asyncio."},
    "carboy.cli.banner": {"carboy.cli.certificates": "Loads OpenSSL; needed only with --domain."},
    "carboy.server.beside_tls": {
        "carboy.acme.problems": "Needed only with --domain.",
        "carboy.acme.keeper": "Loads OpenSSL; needed only with --domain.",
        "carboy.acme.temporary": "Loads OpenSSL; needed only with --domain.",
    },
    "carboy.server.http2.setup": {
        "carboy.server.http2.pipes": "Loads hpack, an optional dependency."
    },
    "carboy.server.listening": {"carboy.server.proxy_stream": "Needed only with --proxy-protocol."},
    "carboy.server.processes.rollout": {
        "carboy.server.processes.canary": "Needed only with --canary."
    },
    "carboy.server.response_cache.setup": {
        "carboy.server.response_cache.gateway": "Needed only with --cache.",
        "carboy.server.response_cache.store": "Needed only with --cache.",
    },
    "carboy.server.serve": {"carboy.server.processes.preload": "Needed only with --preload."},
    "carboy.server.static_files": {
        "carboy.gateway.static.answers": "Needed only with --static.",
        "carboy.gateway.static.gateway": "Needed only with --static.",
    },
    "carboy.server.tracing": {
        "carboy.server.spans": "Loads OpenTelemetry, an optional dependency."
    },
    "carboy.server.tls_setup": {
        "carboy.acme.prepare": "Loads OpenSSL; needed only with --domain.",
        "carboy.acme.store": "Loads OpenSSL; needed only with --domain.",
        "carboy.net.tls": "Loads OpenSSL; needed only with ssl_context.",
        "carboy.net.tls_alpn": "Loads OpenSSL; needed only with ssl_context.",
        "carboy.net.tls_files": "Loads OpenSSL; needed only with a certificate.",
        "carboy.net.tls_server": "Loads OpenSSL; needed only with a certificate.",
    },
    "carboy.realtime.stream": {"carboy.realtime.thread_source": "Loads asyncio."},
    "carboy.routing.rule": {"carboy.routing.description": "Its dataclasses load inspect."},
    "carboy.shared.sessions": {
        "carboy.shared.redis_store": "Loads redis-py; only SESSION_REDIS needs it."
    },
    "carboy.http.request.environ": {
        "carboy.trace_context": "Loads random, and compiles expressions.",
        "carboy.uuid7": "Loads random.",
    },
    "carboy.http.request.exchange": {
        "carboy.trace_context": "Loads random, and compiles expressions.",
        "carboy.uuid7": "Loads random.",
    },
    "carboy.shared.stores": {
        "carboy.shared.postgres_store": "Loads psycopg.",
        "carboy.shared.redis_store": "Loads redis-py.",
    },
    "carboy.realtime.channels": {
        "carboy.realtime.engines.choice": "Needed only with a URL in --channels."
    },
    "carboy.realtime.engines.choice": {
        "carboy.realtime.engines.nats_link": "Loads nats-py.",
        "carboy.realtime.engines.postgres_link": "Loads psycopg.",
        "carboy.realtime.engines.redis_link": "Loads redis-py.",
    },
    "carboy.serving.development": {
        "carboy.dev.debugger": "Takes 20 ms to load; only use_debugger needs it.",
        "carboy.dev.routes": "Loads the debugger.",
    },
}
# library: (reason, modules that import it inside a function)
LATE_LIBRARIES: dict[str, tuple[str, set[str]]] = {
    # third party
    "blinker": ("Needed by the first signal.", {"carboy.app.signals"}),
    "click": ("Needed by the script of a shell only.", {"carboy.cli.completion"}),
    "cryptography": (
        "An optional dependency that takes 60 ms to load.",
        {
            "carboy.cli.development_options",
            "carboy.net.certificates",
            "carboy.net.tls_files",
        },
    ),
    "flask": ("Imported when it is started.", {"carboy.cli.explain_servers"}),
    "gunicorn": ("Imported when it is started.", {"carboy.cli.explain_servers"}),
    "dotenv": ("An optional dependency.", {"carboy.app.commands", "carboy.cli.config"}),
    "itsdangerous": ("Needed by the first signed session.", {"carboy.app.sessions"}),
    "jinja2": ("Needed by the first template.", {"carboy.app.registry"}),
    "uvloop": ("An optional dependency.", {"carboy.net.loop"}),
    "waitress": ("Imported when it is started.", {"carboy.cli.explain_servers"}),
    "watchfiles": ("An optional dependency.", {"carboy.dev.reload.watching"}),
    "weasyprint": (
        "An optional dependency that takes a second to load.",
        {"carboy.dev.report.pdf"},
    ),
    "websockets": ("Needed for the messages of a WebSocket.", {"carboy.cli.explain_client"}),
    "werkzeug": ("Imported when it is started.", {"carboy.cli.explain_servers"}),
    # the standard library
    "asyncio": (
        "Loads 60 modules.",
        {
            "carboy.app.serving_hooks",
            "carboy.server.admin.tasks",
            "carboy.shared.response_cache",
            "carboy.testing.test_app",
        },
    ),
    "ctypes": (
        "Takes 4 ms to load; few need it.",
        {
            "carboy.realtime.thread_source",
            "carboy.server.memory_pools",
            "carboy.server.processes.child",
        },
    ),
    "dataclasses": ("Loads inspect.", {"carboy.app.json.provider"}),
    "difflib": ("Needed for a suggestion in an error.", {"carboy.routing.errors"}),
    "email": ("Loads 10 modules.", {"carboy.dates"}),
    "grp": (
        "Not there on Windows.",
        {
            "carboy.cli.configuration.places",
            "carboy.server.bind",
            "carboy.server.privileges",
        },
    ),
    "hashlib": (
        "Loads OpenSSL.",
        {
            "carboy.app.sessions",
            "carboy.http.fields.etag",
            "carboy.http.security",
            "carboy.protocol.websocket.handshake",
        },
    ),
    "hmac": ("Loads OpenSSL.", {"carboy.http.security", "carboy.server.admin.token"}),
    "importlib": ("Each child process starts with it.", {"carboy.compat.child.carboy_names"}),
    "logging": ("Needed for one line of a log.", {"carboy.app.secure_cookies"}),
    "mimetypes": (
        "Reads the system's files when loaded.",
        {
            "carboy.http.forms.encoding",
            "carboy.http.forms.file_storage",
            "carboy.http.response.sending",
            "carboy.gateway.static.media_types",
        },
    ),
    "mmap": ("Needed to save the first large upload.", {"carboy.http.forms.file_storage"}),
    "pkgutil": ("Needed by find_modules() only.", {"carboy.http.imports"}),
    "pprint": ("Needed by the repr of a map.", {"carboy.routing.map"}),
    "pwd": (
        "Not there on Windows.",
        {"carboy.cli.configuration.places", "carboy.server.privileges"},
    ),
    "readline": ("Changes the terminal when loaded.", {"carboy.cli.shell"}),
    "rlcompleter": ("Belongs to readline.", {"carboy.cli.shell"}),
    "secrets": ("Loads hmac and OpenSSL.", {"carboy.http.security"}),
    "shlex": ("Needed for an advice only.", {"carboy.acme.settings"}),
    "ssl": ("Loads OpenSSL.", {"carboy.cli.development_options"}),
    "tempfile": (
        "Loads random and OpenSSL; only large bodies need it.",
        {
            "carboy.http.forms.encoding",
            "carboy.server.process_setup",
            "carboy.server.request_body",
        },
    ),
    "termios": ("Not there on Windows.", {"carboy.dev.reload.loops"}),
    "wsgiref": ("Imported when it is started.", {"carboy.cli.explain_servers"}),
    "unicodedata": (
        "1 MB for names of files only.",
        {"carboy.http.response.sending", "carboy.http.security"},
    ),
    "uuid": ("Loads platform.", {"carboy.app.json.tag", "carboy.routing.converters"}),
}  # fmt: skip
# top-level packages a room may use besides the standard library
PACKAGES: dict[str, set[str]] = {
    # In protocol/websocket only, which loads with the first handshake.
    # hpack in protocol/http2, which loads with an engine that speaks HTTP/2.
    "protocol": {"hpack", "websockets"},
    "app": {"click", "itsdangerous", "jinja2", "markupsafe"},
    "testing": {"click"},
    # In server/spans.py only, which loads if the application has configured a tracer provider.
    "server": {"opentelemetry"},
    "cli": {"click"},
    "dev": {"markupsafe"},
    # Its own module, beside it on PYTHONPATH.
    "compat": {"carboy_names"},
    # Each is optional, in the module that uses it.
    "realtime": {"nats", "psycopg", "redis"},
    "shared": {"itsdangerous", "psycopg", "redis"},
    "acme": {"cryptography"},
}

# The modules of a room, from the ground up: none imports a module that is further down the list,
# not even in a function or for types. Low modules know high ones by the protocols in `interface`.
ORDER: dict[str, tuple[str, ...]] = {
    "routing": (
        "interface", "syntax", "converters", "parts", "linear", "errors", "build", "description",
        "rule", "factories", "fast_build", "trie", "fast_path", "adapter", "map",
    ),
    "app": (
        "typing", "packages", "config", "signals", "active", "loop", "pump", "async_body",
        "early_hints", "json.provider", "json", "json.tag", "wrappers", "time_limits",
        "secure_cookies", "session_signing", "sessions", "interface", "context", "globals",
        "automatic_hints", "quick_urls", "helpers", "logging", "views", "urls", "plan",
        "template_code", "template_runtime", "template_strings", "template_files",
        "templating", "after_response", "intervals", "timetable",
        "errors", "returns", "sending", "static_lane", "no_route", "teardown",
        "cycle", "stepwise", "lane", "request_modules", "commands", "registry", "serving_hooks",
        "blueprint", "app",
    ),
    "realtime": (
        "event", "thread_source", "stream", "sse", "engine", "channel_rules", "data", "options",
        "encoded", "held", "housekeeping", "hub", "local_engine", "engines", "engines.pauses",
        "engines.timed", "engines.payload", "engines.link", "engines.buffer", "engines.remote",
        "engines.redis_scripts", "engines.redis_link", "engines.postgres_tables",
        "engines.postgres_link", "engines.nats_client", "engines.nats_link", "engines.choice",
        "channels", "outlets", "websocket_origin", "hold", "publish",
        "websocket_threads", "websocket_link", "websocket_waiter", "websocket",
        "websocket_events", "websocket_cycle", "websocket_call",
        "websocket_view",
    ),
}  # fmt: skip

MOST_LINES = 500  # of a file
MOST_LINES_OF_A_FUNCTION = 60
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {
    "carboy.server.dispatching: Dispatcher.dispatch": "a part would be a call of each request",
}


def allowed(target: str, prefixes: tuple[str, ...]) -> bool:
    return any(target == prefix or target.startswith(prefix + ".") for prefix in prefixes)


def is_ours(each: Import) -> bool:
    return each.target.split(".")[0] == "carboy"


def places(module: Module, wrong: list[tuple[int, str]]) -> str:
    return "\n".join(f"{module.path}:{line} {text}" for line, text in wrong)


def test_a_module_imports_only_what_its_room_may() -> None:
    faults = [imports_of_other_rooms(module) for module in MODULES]
    assert not any(faults), "\n".join(filter(None, faults))


def imports_of_other_rooms(module: Module) -> str:
    room = module.room
    if room in ("__init__", "__main__"):
        return ""
    prefixes = (f"carboy.{room}", *MAY_IMPORT[room], *MODULE_MAY_IMPORT.get(module.name, ()))
    for_types = prefixes + MAY_IMPORT_FOR_TYPES.get(room, ())
    late = prefixes + tuple(LATE_IMPORTS.get(module.name, ()))
    wrong = []
    for each in filter(is_ours, module.imports()):
        may = {"types": for_types, "function": late}.get(each.where, prefixes)
        if not allowed(each.target, may):
            wrong.append((each.line, f"{room} may not import {each.target}"))
    return places(module, wrong)


def test_compiled_modules_import_only_what_they_may() -> None:
    """A compiled module knows the classes that its twin makes, and nothing else of this package."""
    found = {
        (path.stem, target)
        for path in (CHECKOUT / "src" / "carboy" / "_speedups").glob("*.pyx")
        for target in re.findall(r"^\s*c?(?:import|from) (carboy[\w.]*)", path.read_text(), re.M)
    }
    listed = {(name, target) for name, targets in COMPILED_MAY_IMPORT.items() for target in targets}
    assert found == listed


def test_a_room_uses_only_its_packages() -> None:
    faults = [imports_of_other_packages(module) for module in MODULES]
    assert not any(faults), "\n".join(filter(None, faults))


def imports_of_other_packages(module: Module) -> str:
    known = sys.stdlib_module_names | PACKAGES.get(module.room, set()) | {"carboy"}
    wrong = [
        (each.line, f"{module.room} may not import the package {each.target}")
        for each in module.imports()
        if each.where == "top" and each.target.split(".")[0] not in known
    ]
    return places(module, wrong)


def test_imports_of_this_package_inside_functions_are_listed() -> None:
    found = {
        (module.name, each.target)
        for module in MODULES
        for each in module.imports()
        if each.where == "function" and is_ours(each)
    }
    listed = {(name, prefix) for name, targets in LATE_IMPORTS.items() for prefix in targets}
    unlisted = {
        (name, target)
        for name, target in found
        if not allowed(target, tuple(LATE_IMPORTS.get(name, ())))
    }
    unneeded = {
        (name, prefix)
        for name, prefix in listed
        if not any(name == other and allowed(target, (prefix,)) for other, target in found)
    }
    assert not unlisted, f"LATE_IMPORTS lacks {sorted(unlisted)}"
    assert not unneeded, f"LATE_IMPORTS lists what is gone: {sorted(unneeded)}"


def test_imports_of_libraries_inside_functions_are_listed() -> None:
    found = {
        (each.target.split(".")[0], module.name)
        for module in MODULES
        for each in module.imports()
        if each.where == "function" and not is_ours(each)
    }
    listed = {(library, name) for library, (_, names) in LATE_LIBRARIES.items() for name in names}
    assert not found - listed, f"LATE_LIBRARIES lacks {sorted(found - listed)}"
    assert not listed - found, f"LATE_LIBRARIES lists what is gone: {sorted(listed - found)}"


def test_every_room_has_its_row() -> None:
    rooms = {module.room for module in MODULES} - {"__init__", "__main__"}
    assert rooms <= set(MAY_IMPORT), "MAY_IMPORT lacks a room"
    assert rooms <= set(ROOMS), "tools/code_map.py: ROOMS lacks a room"


def test_the_table_permits_nothing_that_is_not_used() -> None:
    rows: list[tuple[Mapping[str, Collection[str]], str, str]] = [
        (MAY_IMPORT, "room", "top"), (MAY_IMPORT_FOR_TYPES, "room", "types"),
        (MODULE_MAY_IMPORT, "name", "top"), (PACKAGES, "room", "top"),
    ]  # fmt: skip
    unneeded = []
    for table, owner, where in rows:
        for key, permitted in table.items():
            targets = [
                each.target
                for module in MODULES
                if getattr(module, owner) == key
                for each in module.imports()
                if each.where == where or (where, each.where) == ("top", "string")
            ]
            unneeded += [
                f"{key}: {prefix}"
                for prefix in permitted
                if not any(allowed(target, (prefix,)) for target in targets)
            ]
    assert not unneeded


def test_docs_design_md_has_the_same_table() -> None:
    page = (CHECKOUT / "docs" / "design.md").read_text()
    rows = dict(re.findall(r"^\| ((?:`\w+` ?)+)\| (.+?) \|$", page, re.MULTILINE))
    documented = {room: cell for names, cell in rows.items() for room in re.findall(r"\w+", names)}
    missing = []
    for room, prefixes in MAY_IMPORT.items():
        alone = [each for name, each in MODULE_MAY_IMPORT.items() if name.split(".")[1] == room]
        for prefix in (*prefixes, *MAY_IMPORT_FOR_TYPES.get(room, ()), *sum(alone, ())):
            text = "everything" if prefix == "carboy" else f"`{prefix.removeprefix('carboy.')}`"
            if text not in documented.get(room, ""):
                missing.append(f"{room}: {text}")
    assert not missing


def test_arrows_between_rooms_point_downwards() -> None:
    """However they are written: under TYPE_CHECKING, in a function, as a string."""
    found = {arrow for arrow in room_arrows(MODULES) if points_upwards(arrow)}
    assert not found - set(UPWARD), f"UPWARD lacks {sorted(found - set(UPWARD))}"
    assert not set(UPWARD) - found, f"UPWARD lists what is gone: {sorted(set(UPWARD) - found)}"


@pytest.mark.parametrize("room", ORDER)
def test_the_modules_of_a_room_are_in_order(room: str) -> None:
    """All imports count: under TYPE_CHECKING, in a function, as a string."""
    places = {f"carboy.{room}.{name}": place for place, name in enumerate(ORDER[room])}
    wrong, seen = [], set()
    for module in MODULES:
        name = module.name.removesuffix(".__init__")
        if module.room != room or name == f"carboy.{room}":
            continue
        seen.add(name)
        for each in module.imports():
            target = each.target
            while target and target not in places:
                target = target.rpartition(".")[0]
            if target and target != name and places[target] >= places.get(name, 0):
                wrong.append(f"{module.path}:{each.line} imports {target}")
    assert seen == set(places)
    assert not wrong, "\n".join(wrong)


def test_no_room_fills_in_what_another_one_needs() -> None:
    found = {
        each.target
        for module in MODULES
        for each in module.imports()
        if each.where == "assigned" and each.target.split(".")[1] != module.room
    }
    listed = set(SET_FROM_ABOVE)
    assert not found - listed, f"SET_FROM_ABOVE lacks {sorted(found - listed)}"
    assert not listed - found, f"SET_FROM_ABOVE lists what is gone: {sorted(listed - found)}"


def test_there_is_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    names = {module.name.removesuffix(".__init__") for module in MODULES}
    for module in MODULES:
        name = module.name.removesuffix(".__init__")
        edges = graph.setdefault(name, set())
        for each in module.imports():
            if each.where != "top":
                continue
            target = each.target
            while target and target not in names:
                target = target.rpartition(".")[0]
            # A package's __init__ re-exports its modules; they do not depend on it.
            if target and target != name and not name.startswith(target + "."):
                edges.add(target)
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            walk(target, (*trail, name))
        done.add(name)

    for name in graph:
        walk(name, ())


def test_a_file_has_at_most_500_lines() -> None:
    found = {module.name for module in MODULES if len(module.text.splitlines()) > MOST_LINES}
    assert not found - set(LONG_FILES), f"too long: {sorted(found - set(LONG_FILES))}"
    assert not set(LONG_FILES) - found, f"short by now: {sorted(set(LONG_FILES) - found)}"


def test_a_function_has_at_most_60_lines() -> None:
    found = {
        f"{module.name}: {name}"
        for module in MODULES
        for name, lines in module.functions()
        if lines > MOST_LINES_OF_A_FUNCTION
    }
    assert not found - set(LONG_FUNCTIONS), f"too long: {sorted(found - set(LONG_FUNCTIONS))}"
    assert not set(LONG_FUNCTIONS) - found, f"short by now: {sorted(set(LONG_FUNCTIONS) - found)}"
