"""The works that applications of users have to do."""

from __future__ import annotations

import hashlib
import json

from itsdangerous import URLSafeTimedSerializer

from bench.apps import page, payload
from bench.work import Exchange, Kind, Work

BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
    "Sec-CH-UA": '"Chromium";v="131", "Not_A Brand";v="24"',
    "Sec-CH-UA-Mobile": "?0",
    "Sec-CH-UA-Platform": '"Linux"',
    "Cookie": "visitor=5f2b9c1e7d3a4b68; theme=dark; consent=necessary",
}
VARYING_HEADERS = {**BROWSER_HEADERS, "Referer": "http://127.0.0.1/notes/{n}"}
UPLOAD_BYTES = 1024 * 1024
LARGE_UPLOAD_BYTES = 20 * 1000 * 1000
STREAM_BYTES = len(payload.PIECE) * payload.PIECES
PIPELINED = 16
FEW = 4
"""Connections for large bodies."""

API = ("carboy", "carboy-flask", "falcon-freastal", "falcon-bjoern", "flask-fastpysgi",
       "flask-gunicorn")  # fmt: skip


def session_cookie() -> str:
    """The cookie of a session that the applications of apps/page.py have begun."""
    serializer = URLSafeTimedSerializer(
        page.SECRET,
        salt="cookie-session",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )
    return "session=" + str(serializer.dumps({"visits": 1}))


def _page() -> Exchange:
    cookie = f"{VARYING_HEADERS['Cookie']}; {session_cookie()}"
    return Exchange(
        path="/page",
        headers={**VARYING_HEADERS, "Cookie": cookie},
        accepts=lambda body: body.count(b"/item/") == 40 and b"Visit 2 of" in body,
    )


def _order() -> Exchange:
    headers = {"Authorization": f"Bearer {payload.TOKEN}", "Content-Type": "application/json"}
    return Exchange(
        "POST",
        "/api/orders",
        headers,
        json.dumps(payload.ORDER).encode(),
        lambda body: json.loads(body) == payload.confirmed(payload.ORDER),
    )


def upload(path: str, size: int) -> Exchange:
    """A multipart form with a file of `size` bytes."""
    boundary = "----benchmark7f3a9c"
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="photo.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    return Exchange(
        "POST",
        path,
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
        head.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
        lambda body: body == str(size).encode(),
    )


USER_WORKS = (
    Work(
        "r",
        "a page with hooks, a session, ProxyFix, a template with 40 links, and an access log",
        ("carboy-page", "carboy-flask-page", "flask-page-fastpysgi", "flask-page-gunicorn"),
        _page(),
        ours="carboy-page",
    ),
    Work("s", "a JSON API: a token, 1 KiB in, 2 KiB out", API, _order()),
    Work(
        "z",
        "20 rows of SQLite as JSON, with Flask-SQLAlchemy",
        ("carboy-rows", "carboy-flask-rows", "flask-rows-fastpysgi", "flask-rows-gunicorn"),
        Exchange(path="/rows", accepts=lambda body: len(json.loads(body)) == 20),
        ours="carboy-rows",
    ),
    Work(
        "t-404",
        "a path without a route (404)",
        API,
        Exchange(path="/missing", accepts=lambda body: True, status=404),
    ),
    Work(
        "t-405",
        "a method without a route (405)",
        API,
        Exchange("POST", accepts=lambda body: True, status=405),
    ),
    Work(
        "u",
        "every request sleeps 10 ms, two processes of four threads",
        ("carboy-two", "carboy-wsgi-two", "granian-two", "gunicorn-two"),
        Exchange(path="/sleep"),
        plain="sleep",
        threads=4,
        ours="carboy-two",
    ),
    Work(
        "v",
        "upload of 20 MB to disk",
        ("carboy", "carboy-flask", "falcon-bjoern", "flask-gunicorn", "flask-granian"),
        upload("/store", LARGE_UPLOAD_BYTES),
        connections=FEW,
    ),
    Work(
        "w",
        "a streamed response of 100 MiB, in pieces of 64 KiB",
        ("carboy", "carboy-wsgi", "carboy-flask", "granian", "bjoern", "gunicorn",
         "flask-gunicorn"),
        Exchange(path="/stream", accepts=lambda body: len(body) == STREAM_BYTES),
        plain="stream",
        connections=FEW,
    ),
    Work(
        "x",
        f"plain WSGI hello, {PIPELINED} requests sent together",
        ("carboy-wsgi", "freastal-wsgi", "fastpysgi-wsgi", "bjoern", "granian"),
        Exchange(pipelined=PIPELINED),
        ours="carboy-wsgi",
    ),
    Work(
        "resumed",
        "TLS 1.2 handshakes that continue a session",
        ("carboy-tls", "granian-tls", "gunicorn-tls"),
        kind=Kind.RESUMED,
        ours="carboy-tls",
    ),
)  # fmt: skip
