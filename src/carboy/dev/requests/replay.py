"""Sending a request again: a form for the browser, and a command for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from urllib.parse import quote, urlencode

from markupsafe import escape

from carboy.dev.masking import MASK
from carboy.dev.requests.store import Pairs, Record

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110, section 9.2.1
# Fields that a browser sends by itself, and does not let a page set.
OF_BROWSER = {
    "accept-encoding", "connection", "content-length", "cookie", "host", "keep-alive", "origin",
    "referer", "upgrade-insecure-requests", "user-agent", "sec-fetch-dest", "sec-fetch-mode",
    "sec-fetch-site", "sec-fetch-user", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
    "if-none-match", "if-modified-since", "cache-control", "pragma", "accept-language", "priority",
    "transfer-encoding", "te", "trailer", "upgrade", "expect", "dnt", "via",
}  # fmt: skip
# Fields that curl sends by itself.
OF_CURL = {"host", "content-length", "connection", "accept-encoding"}


def form(record: Record, explains: bool) -> str:
    """A form that sends the request again from this browser, changed or not.

    `explains`: it has a button that records the calls as well.
    """
    body = _body(record)
    names = METHODS if record.method in METHODS else (record.method, *METHODS)
    methods = "".join(
        f"<option{' selected' if name == record.method else ''}>{escape(name)}" for name in names
    )
    lines = "\n".join(f"{name}: {value}" for name, value in _headers(record))
    whole = str(not record.files and not record.json_cut and not _is_lost(record)).lower()
    explain = "<button name=explain value=yes>Send and explain</button>" if explains else ""
    return (
        f"<form id=replay class=replay data-mask='{MASK}' data-whole={whole}><p>"
        f"<select name=method aria-label=Method>{methods}</select>"
        f"<input name=target aria-label=Target value='{escape(record.target)}' spellcheck=false>"
        f"<button>Send</button>{explain}</p>"
        f"<label>Headers<textarea name=headers rows={lines.count(chr(10)) + 2} spellcheck=false>"
        f"\n{escape(lines)}</textarea></label>"
        f"<label>Body<textarea name=body rows={min(12, body.count(chr(10)) + 3)} spellcheck=false>"
        f"\n{escape(body)}</textarea></label>"
        f"<p class=soft>{escape(' '.join(_notes(record, body)))}</p><output></output></form>"
    )


def _body(record: Record) -> str:
    fields = urlencode([(name, value) for name, value in record.form])
    return fields.replace(quote(MASK), MASK) or ("" if record.json_cut else record.json)


def _headers(record: Record) -> Pairs:
    found = [
        (name, value)
        for name, value in record.request
        if MASK not in value and name.lower() not in OF_BROWSER
    ]
    if record.form:
        found = [(name, value) for name, value in found if name.lower() != "content-type"]
        found.append(("Content-Type", "application/x-www-form-urlencoded"))
    return found


def _notes(record: Record, body: str) -> Iterator[str]:
    """Sentences about differences from the first time."""
    yield "The cookies are those of this browser."
    if MASK in f"{record.target}{body}":
        yield f"Secrets were replaced by {MASK}: enter them again."
    hidden = [n for n, v in record.request if MASK in v and n.lower() not in OF_BROWSER]
    if hidden:
        yield f"Secrets are not stored, so these headers are missing: {', '.join(hidden)}."
    if record.files:
        yield "Files are not sent."
    elif record.json_cut:
        yield "The JSON was too long to be stored."
    elif _is_lost(record):
        yield "The body was not stored, because the application has not read a form or JSON."


def _is_lost(record: Record) -> bool:
    """Whether the request had a body that is not stored."""
    fields = {name.lower(): value for name, value in record.request}
    had = fields.get("content-length") or "0"
    kept = record.form or record.files or record.json
    return not kept and (had != "0" or "transfer-encoding" in fields)


def curl(record: Record, origin: str) -> str:
    """A curl command that repeats the request. Masked values stay masked."""
    # With -X HEAD, curl would wait for a body.
    parts = ["curl", "-I" if record.method == "HEAD" else "-i"]
    if record.method not in ("GET", "HEAD"):
        parts += ["-X", record.method]
    of_curl = OF_CURL | ({"content-type"} if record.form or record.files else set())
    for name, value in record.request:
        if name.lower() not in of_curl:
            parts += ["-H", f"{name}: {value}"]
    field = "--form-string" if record.files else "--data-urlencode"
    for name, value in record.form:
        parts += [field, f"{name}={value}"]
    for name, value in record.files:
        parts += ["--form", f"{name}=@{value}"]
    if record.json_cut or _is_lost(record):
        parts += ["--data-binary", "@body"]  # a file that the user has to write
    elif record.json:
        parts += ["--data-raw", record.json]
    return shlex.join([*parts, origin + record.target])
