"""All works, in the order of the tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from bench.apps import payload
from bench.user_works import BROWSER_HEADERS, UPLOAD_BYTES, USER_WORKS, VARYING_HEADERS, upload
from bench.work import LARGE, SMALL, Exchange, Kind, Work

STATIC_NAME = "pattern.txt"
STATIC_BYTES = 100 * 1024
LARGE_NAME = "large.txt"
LARGE_BYTES = 1024 * 1024
MANY_THREADS = 64
SUBSCRIBERS = 5_000
IDLE_SOCKETS = 10_000

PLAIN = (
    "carboy-wsgi",
    "freastal-wsgi",
    "fastpysgi-wsgi",
    "bjoern",
    "granian",
    "peregrine",
    "m0serve",
    "uvicorn",
    "waitress",
    "cheroot",
    "gunicorn",
    "gunicorn-sync",
)
FRAMEWORKS = (
    "carboy",
    "carboy-flask",
    "falcon-freastal",
    "falcon-bjoern",
    "blacksheep-uvicorn",
    "fastapi-uvicorn",
    "flask-fastpysgi",
    "flask-bjoern",
    "flask-granian",
    "flask-gunicorn",
    "flask-run",
)
ASGI = (
    "carboy-asgi",
    "uvicorn",
    "granian-asgi",
    "hypercorn",
    "daphne",
    "fastpysgi",
    "freastal",
    "peregrine-asgi",
    "m0serve-asgi",
)
FASTAPI = (
    "carboy-fastapi",
    "fastapi-uvicorn",
    "fastapi-granian",
    "fastapi-hypercorn",
    "fastapi-daphne",
    "fastapi-fastpysgi",
    "fastapi-freastal",
    "fastapi-peregrine",
    "fastapi-m0serve",
)
ECHO = (
    "carboy-asgi",
    "uvicorn-websockets",
    "uvicorn-wsproto",
    "granian-asgi",
    "hypercorn",
    "daphne",
)
BROADCAST = (
    "carboy-realtime",
    "carboy-starlette",
    "starlette-uvicorn-websockets",
    "starlette-uvicorn-wsproto",
    "starlette-granian",
    "starlette-hypercorn",
    "starlette-daphne",
)
BROADCAST_SSE = (
    "carboy-realtime",
    "carboy-starlette",
    "starlette-uvicorn",
    "starlette-granian",
    "starlette-hypercorn",
    "starlette-daphne",
)
TLS = ("carboy-wsgi", "carboy-tls", "granian-tls", "gunicorn", "gunicorn-tls")
HTTP2 = ("carboy-tls", "h2corn-tls", "granian-tls", "hypercorn-tls")
STATIC = ("carboy-static", "nginx", "caddy", "granian-static")
STATIC_TLS = ("carboy-static-tls", "nginx-tls", "caddy-tls", "granian-static-tls")
SOMETIMES = ("carboy", "carboy-wsgi", "granian", "gunicorn", "bjoern", "flask-granian")


FORM = Exchange(
    "POST",
    "/form",
    {"Content-Type": "application/x-www-form-urlencoded"},
    b"name=Ada+Lovelace&email=ada%40example.org&subject=Notes&message=The+engine+weaves"
    b"+algebraic+patterns+just+as+the+loom+weaves+flowers+and+leaves.&send=1",
    lambda answer: answer == b"Ada Lovelace <ada@example.org>",
)


def of_size(size: int) -> Callable[[bytes], bool]:
    """A check of the size of a body."""
    return lambda body: len(body) == size


WORKS = (
    Work("a", "plain WSGI hello", PLAIN, ours="carboy-wsgi"),
    Work(
        "tls",
        "plain WSGI hello over HTTPS",
        ("carboy-wsgi-compiled", "carboy-tls-compiled", *TLS),
        ours="carboy-tls",
    ),
    Work(
        "handshakes",
        "plain WSGI hello over HTTPS, a new connection each time",
        TLS,
        Exchange(headers={"Connection": "close"}),
        ours="carboy-tls",
    ),
    Work(
        "http2",
        "plain WSGI hello over HTTP/2 (h2corn and hypercorn: ASGI)",
        HTTP2,
        kind=Kind.HTTP2,
        ours="carboy-tls",
    ),
    *(
        Work(
            f"static{suffix}-{size}",
            f"static file of {text}{over}",
            servers,
            Exchange(path=f"/static/{name}", accepts=of_size(many)),
            kind=kind,
            ours=servers[0],
        )
        for suffix, over, servers, kind in (
            ("", "", STATIC, Kind.LOAD),
            ("-tls", " over HTTPS", STATIC_TLS, Kind.LOAD),
            ("-http2", " over HTTP/2", STATIC_TLS, Kind.HTTP2),
        )
        for size, text, name, many in (
            ("100KiB", "100 KiB", STATIC_NAME, STATIC_BYTES),
            ("1MiB", "1 MiB", LARGE_NAME, LARGE_BYTES),
        )
    ),
    Work("b", "framework hello", FRAMEWORKS),
    Work(
        "c",
        "hello with 12 browser headers and a cookie",
        FRAMEWORKS,
        Exchange(headers=BROWSER_HEADERS),
    ),
    Work(
        "d",
        "JSON document",
        FRAMEWORKS,
        Exchange(path="/json", accepts=lambda answer: json.loads(answer) == payload.DOCUMENT),
    ),
    Work(
        "e",
        "an integer in the path, 200 routes",
        FRAMEWORKS,
        Exchange(path="/section137/item/21", accepts=lambda answer: answer == b"42"),
        routes=200,
    ),
    Work("f", "POST of a form", FRAMEWORKS, FORM),
    Work("g", "upload of 1 MiB", FRAMEWORKS, upload("/upload", UPLOAD_BYTES)),
    Work(
        "h",
        "static file of 100 KiB",
        FRAMEWORKS,
        Exchange(path=f"/static/{STATIC_NAME}", accepts=of_size(STATIC_BYTES)),
    ),
    Work(
        "i",
        "every request sleeps 10 ms, 64 threads",
        ("carboy", "carboy-wsgi", "granian", "gunicorn", "flask-granian", "flask-gunicorn"),
        Exchange(path="/sleep"),
        plain="sleep",
        threads=MANY_THREADS,
    ),
    Work(
        "j",
        "one request in 100 sleeps 10 ms, in another view, 64 threads",
        SOMETIMES,
        Exchange(rarely="/sleep"),
        plain="seldom",
        threads=MANY_THREADS,
    ),
    Work(
        "n",
        "one request in 100 sleeps 10 ms, in the same view, 64 threads",
        SOMETIMES,
        Exchange(path="/sometimes"),
        plain="sometimes",
        threads=MANY_THREADS,
    ),
    Work(
        "k",
        "hello, with a request of 50 ms CPU time once a second",
        ("carboy", "carboy-wsgi", "granian", "gunicorn", "flask-gunicorn", "waitress"),
        kind=Kind.BESIDE,
        plain="beside",
    ),
    Work(
        "l",
        "hello, with 10,000 idle connections",
        ("carboy", "carboy-wsgi", "granian", "bjoern", "uvicorn"),
        kind=Kind.IDLE,
    ),
    Work("m", "import time and memory", ("carboy", "flask-run"), kind=Kind.PROCESS),
    Work(
        "o",
        "as (c), with one header that changes in each request",
        ("carboy", "falcon-freastal", "falcon-bjoern", "flask-bjoern", "flask-gunicorn"),
        Exchange(headers=VARYING_HEADERS),
    ),
    Work(
        "p",
        "as (a) with the headers of (o)",
        ("carboy-wsgi", "freastal-wsgi", "fastpysgi-wsgi", "bjoern", "granian", "uvicorn"),
        Exchange(headers=VARYING_HEADERS),
        ours="carboy-wsgi",
    ),
    Work(
        "q",
        "as (c), behind a WSGI middleware",
        ("carboy-lane", "carboy-flask"),
        Exchange(headers=BROWSER_HEADERS),
        ours="carboy-lane",
    ),
    *USER_WORKS,
    Work("asgi", "plain ASGI hello", ASGI, ours="carboy-asgi"),
    Work("fastapi", "hello from a view of FastAPI", FASTAPI, ours="carboy-fastapi"),
    *(
        Work(
            f"echo-{connections}-{short}",
            f"WebSocket echo, {connections} {noun}, messages of {long}",
            ECHO,
            kind=Kind.ECHO,
            asgi="echo",
            connections=connections,
            size=size,
            ours="carboy-asgi",
        )
        for connections, noun in ((1, "connection"), (64, "connections"))
        for size, short, long in ((SMALL, "64B", "64 bytes"), (LARGE, "16KiB", "16 KiB"))
    ),
    Work(
        "broadcast",
        f"a message of 64 bytes to {SUBSCRIBERS:,} WebSockets",
        BROADCAST,
        kind=Kind.FAN_OUT,
        connections=SUBSCRIBERS,
        ours="carboy-realtime",
    ),
    Work(
        "sse",
        f"an event of 64 bytes to {SUBSCRIBERS:,} streams (SSE)",
        BROADCAST_SSE,
        kind=Kind.FAN_OUT,
        connections=SUBSCRIBERS,
        transport="sse",
        ours="carboy-realtime",
    ),
    Work(
        "sockets",
        f"{IDLE_SOCKETS:,} idle WebSockets",
        (*ECHO, "carboy-realtime"),
        kind=Kind.SOCKETS,
        asgi="echo",
        connections=IDLE_SOCKETS,
        ours="carboy-asgi",
    ),
    Work(
        "held",
        f"hello from a view, beside {SUBSCRIBERS:,} held streams (SSE)",
        ("carboy-realtime", "starlette-uvicorn", "starlette-granian", "starlette-hypercorn"),
        kind=Kind.HELD,
        connections=SUBSCRIBERS,
        transport="sse",
        ours="carboy-realtime",
    ),
)


# The works whose requests pass through the compiled functions, and are not bound by other things.
COMPILED = (
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "n",
    "o",
    "p",
    "q",
    "r",
    "s",
    "t-404",
    "x",
    "z",
    "asgi",
)


def with_compiled(work: Work) -> Work:
    """The work, in which Carboy is measured with its compiled functions too, if that matters."""
    if work.key not in COMPILED:
        return work
    first, *others = work.servers
    return replace(work, servers=(first, f"{first}-compiled", *others))


WORKS = tuple(map(with_compiled, WORKS))


def static_files() -> dict[str, bytes]:
    """The names and contents of the static files, which are always the same."""
    line = b"The quick brown fox jumps over the lazy dog; sphinx of black quartz.\n"
    return {
        name: (line * (size // len(line) + 1))[:size]
        for name, size in ((STATIC_NAME, STATIC_BYTES), (LARGE_NAME, LARGE_BYTES))
    }
