"""103 Early Hints (RFC 8297): links that a browser loads while the view makes its response."""

from __future__ import annotations

from functools import partial
from typing import Any

from carboy.app.active import exchange_of
from carboy.http.request.request import Request
from carboy.late import parse

HTTP_2 = "HTTP/2"
# The destination of a preloaded file (the attribute `as`), by the extension of its name. Scripts
# that are modules have a relation of their own; browsers load fonts in CORS mode.
PRELOAD = {
    "css": "rel=preload; as=style",
    "js": "rel=preload; as=script",
    "mjs": "rel=modulepreload",
    "woff": "rel=preload; as=font; crossorigin",
    "woff2": "rel=preload; as=font; crossorigin",
    **dict.fromkeys(("avif", "gif", "jpeg", "jpg", "png", "svg", "webp"), "rel=preload; as=image"),
}


def link_of(link: str) -> str:
    """The value of a Link field: `link` itself if it is one, or that for the URL of a file.

    Raises ValueError for a URL whose kind of file is not known.
    """
    if link.startswith("<"):
        return link
    if not is_known(link):
        raise ValueError(
            f"How to load {link!r} early is not known. Write the whole link, such as"
            f" '<{link}>; rel=preload; as=fetch'."
        )
    return f"<{link}>; {PRELOAD[_extension(link)]}"


def is_known(url: str) -> bool:
    """Whether the name of the file shows how a browser uses it."""
    return _extension(url) in PRELOAD and not any(each in url for each in "<> ")


def _extension(url: str) -> str:
    return parse.urlsplit(url).path.rpartition("/")[2].rpartition(".")[2].lower()


def send_early_hints(asked: Request, links: tuple[str, ...]) -> bool:
    """Send a 103 with these links at once; returns whether it was sent.

    Only over HTTP/2: browsers use it there only, and some clients of HTTP/1.1 take a 103 for the
    response. Raises what the server raises for a Link field that cannot be sent, or when the
    response has begun.
    """
    fields = [("Link", link_of(link)) for link in links]
    exchange: Any = exchange_of(asked)
    channel = getattr(exchange, "channel", None)
    send: Any
    if channel is not None:
        over_http_2 = exchange.head.version.startswith(HTTP_2)
        send = partial(channel.interim, "103 Early Hints")
    else:
        over_http_2 = asked.environ.get("SERVER_PROTOCOL", "").startswith(HTTP_2)
        send = asked.environ.get("wsgi.early_hints")
    if send is None or not over_http_2 or not fields:
        return False
    send(fields)
    return True
