"""Puts a script tag into an HTML page, in a way that the page's Content-Security-Policy allows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from carboy.http.fields.policies import ContentSecurityPolicy, parse_csp_header

SCRIPT = ("script-src-elem", "script-src", "default-src")
CONNECT = ("connect-src", "default-src")
NONCE = "'nonce-"

# The start of a page, after what may come first (HTML, section 13.1).
_begins = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s+|<!--.*?-->|<\?xml.*?\?>)*+<(?:!doctype\s+html|html|head|body)\b",
    re.DOTALL | re.IGNORECASE,
).match
# Elements that may contain "</body>" as text are matched as a whole, and thereby skipped.
_ends = re.compile(
    rb"<!--.*?-->|<(script|style|textarea|title|template|iframe|xmp)\b.*?</\1\s*>|(</body\s*>)",
    re.DOTALL | re.IGNORECASE,
).finditer


def is_page(body: bytes) -> bool:
    """Whether `body` is a whole page and not a fragment."""
    return _begins(body) is not None


def with_tag(body: bytes, tag: bytes) -> bytes:
    """`body` with `tag` before `</body>`, or at the end if there is no `</body>`."""
    place = len(body)
    for found in _ends(body):
        if found[2] is not None:
            place = found.start()
    return b"".join((body[:place], tag, body[place:]))


def policies(values: Iterable[str]) -> list[ContentSecurityPolicy]:
    """All policies in these field values; a comma separates policies (CSP level 3, section 2.2)."""
    return [parse_csp_header(part) for value in values for part in value.split(",") if part.strip()]


def nonce_for(
    host: str, enforced: list[ContentSecurityPolicy], watched: list[ContentSecurityPolicy]
) -> str | None:
    """The nonce that lets the script run and connect: "" if none is needed, None if none helps.

    Report-only policies (`watched`) forbid nothing, but a nonce that suits them avoids a report.
    """
    found = [nonce for policy in enforced + watched for nonce in _nonces(policy)]
    candidates = ["", *dict.fromkeys(found)]
    for asked in (enforced + watched, enforced):
        for nonce in candidates:
            if all(_permits(policy, host, nonce) for policy in asked):
                return nonce
    return None


def _sources(policy: ContentSecurityPolicy, names: tuple[str, ...]) -> list[str] | None:
    """The source list of the first of these directives; None if everything is allowed."""
    found = next((policy[name] for name in _names(policy, names)), None)
    return None if found is None else found.split()


def _names(policy: ContentSecurityPolicy, names: tuple[str, ...]) -> list[str]:
    lower = {name.lower(): name for name in policy}
    return [lower[name] for name in names if name in lower]


def _nonces(policy: ContentSecurityPolicy) -> list[str]:
    sources = _sources(policy, SCRIPT) or ()
    return [each[len(NONCE) : -1] for each in sources if each.lower().startswith(NONCE)]


def _permits(policy: ContentSecurityPolicy, host: str, nonce: str) -> bool:
    sandbox = next((policy[name].split() for name in _names(policy, ("sandbox",))), None)
    if sandbox is not None and not {"allow-scripts", "allow-same-origin"} <= set(sandbox):
        return False
    script = _sources(policy, SCRIPT)
    named = bool(nonce) and nonce in _nonces(policy)
    # With 'strict-dynamic', only nonces and hashes count.
    if not (
        script is None or named or ("'strict-dynamic'" not in script and _names_host(script, host))
    ):
        return False
    connect = _sources(policy, CONNECT)
    return connect is None or _names_host(connect, host)


def _names_host(sources: list[str], host: str) -> bool:
    """Whether one of the sources matches the host of the page."""
    ours = {"'self'", "*", "http:", "https:", host, f"http://{host}", f"https://{host}"}
    return any(source.lower().rstrip("/") in ours for source in sources)
