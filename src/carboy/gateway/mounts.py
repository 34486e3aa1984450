"""Applications beside each other, each under a prefix of the path.

    app = mount(shop, {"/api": api, "/admin": admin})

The longest prefix that fits decides. A prefix fits whole segments of a path: `/api` fits `/api` and
`/api/users`, not `/apis`. Segments are compared percent-decoded (RFC 3986, section 6.2.2.2), so a
client cannot get past a prefix by writing it another way, and `/` is the boundary of a segment only
if it is not encoded.

    WSGI, Carboy   SCRIPT_NAME is the prefix, PATH_INFO the rest (PEP 3333)
    ASGI           root_path is the prefix, and path has the prefix too (ASGI, HTTP scope)
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote

from carboy.gateway.callables import ASGI, INTERFACES, interface_of, named
from carboy.gateway.wsgi import decode_path

ENCODED = re.compile("%(?![0-9A-Fa-f]{2})")
TEXT = "text/html; charset=utf-8"
NOT_FOUND = b"""<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>No application is served at this path.</p>
"""


def not_found(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application that answers every request with 404."""
    headers = [("Content-Type", TEXT), ("Content-Length", str(len(NOT_FOUND)))]
    start_response("404 Not Found", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else NOT_FOUND]


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """An application, WSGI or ASGI, and its prefix: decoded, without a slash at its end.

    The prefix "" is the root. `name` is what the user calls the application, such as "shop:app".
    """

    prefix: str
    app: Any
    interface: str
    name: str = ""

    @property
    def on_wire(self) -> str:
        """The prefix as in SCRIPT_NAME."""
        return script_name(self.prefix)

    def shown(self) -> str:
        """The prefix as it is in a URL."""
        return quote(self.prefix) or "/"

    def named(self) -> str:
        """The name that the user gives the application, or that of its module or class."""
        module = getattr(self.app, "import_name", None)  # of Carboy, Flask and Quart
        return self.name or (module if isinstance(module, str) else named(self.app))


class Mounts:
    """Applications of any kind under prefixes, for Carboy's servers and its test client.

    An object of this class is a WSGI application, too. Called as one, as the test client does, it
    starts the lifespan of an ASGI application at its first request.
    """

    def __init__(self, root: Mount, mounts: Iterable[Mount]) -> None:
        self.root = root
        self.mounts = tuple(mounts)
        # The longest first, so that the first that fits is the right one.
        search = sorted(self.mounts, key=lambda each: -each.prefix.count("/"))
        self._plain = [(each.on_wire, each) for each in search]
        self._segments = [(each.on_wire.split("/"), each) for each in search]
        self._lock = Lock()
        self._bridges: dict[int, Any] = {}  # ASGI applications that were called as WSGI

    def __repr__(self) -> str:
        mounts = ", ".join(f"{each.shown()}: {each.named()}" for each in self.mounts)
        root = "nothing" if self.root.app is not_found else self.root.named()
        return f"<Mounts on {root}, {mounts}>"

    def all(self) -> list[Mount]:
        """The root and all mounts."""
        return [self.root, *self.mounts]

    def find(self, path: str) -> tuple[Mount, int]:
        """The mount for a path as it is in a request, and the length of its prefix there."""
        if "%" not in path:
            return self._find_decoded(path)
        for parts, mount in self._segments:
            found = path.split("/", len(parts))[: len(parts)]
            if [decode_path(part) for part in found] == parts:
                return mount, len("/".join(found))
        return self.root, 0

    def _find_decoded(self, path: str) -> tuple[Mount, int]:
        for prefix, mount in self._plain:
            size = len(prefix)
            if path.startswith(prefix) and path[size : size + 1] in ("", "/"):
                return mount, size
        return self.root, 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Call the application for a request, as any WSGI server does."""
        path = environ.get("PATH_INFO", "")
        mount, size = self._find_decoded(path)
        app = self._bridge(mount.app) if mount.interface == ASGI else mount.app
        if size:
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + path[:size]
            environ["PATH_INFO"] = path[size:]
        return app(environ, start_response)

    def _bridge(self, app: Any) -> Any:
        """A WSGI application that calls an ASGI application, which is started if it is not yet."""
        from carboy.gateway.asgi import LEAST, AsgiGateway
        from carboy.gateway.bridge import AsWsgi

        with self._lock:
            found = self._bridges.get(id(app))
            if found is None:
                gateway = AsgiGateway(app)
                gateway.start()
                atexit.register(gateway.stop, LEAST)
                found = self._bridges[id(app)] = AsWsgi(gateway)
            return found


def mount(
    app: Any, mounts: Mapping[str, Any], *, interfaces: Mapping[str, str] | None = None
) -> Mounts:
    """`app`, with other applications mounted at prefixes of the path.

    Applications are Carboy, WSGI or ASGI. Without a root application (`app` is None), paths that
    no prefix fits are answered with 404. `interfaces` says which kind ("wsgi" or "asgi") the
    application of a prefix is, if its parameters do not show it. Raises ValueError for a prefix
    that cannot be used, and TypeError for something that is not an application.
    """
    kinds = dict(interfaces or {})
    if isinstance(app, Mounts):
        root, found = app.root, list(app.mounts)
    else:
        root, found = _mounted("", not_found if app is None else app), []
    for text, other in mounts.items():
        prefix = read_prefix(text)
        if other is app:
            raise ValueError(
                f"The application {named(app)} is mounted on itself, at {text}. Mount another one."
            )
        if isinstance(other, Mounts):
            found += [Mount(prefix + each.prefix, each.app, each.interface) for each in other.all()]
        else:
            found.append(_mounted(prefix, other, kinds.pop(text, "auto")))
    if kinds:
        raise ValueError(f"No application is mounted at {next(iter(kinds))}. Correct `interfaces`.")
    _check(root, found)
    return Mounts(root, found)


def _mounted(prefix: str, app: Any, interface: str = "auto") -> Mount:
    if interface not in INTERFACES:
        raise ValueError(f"{interface!r} is not an interface. Use one of {', '.join(INTERFACES)}.")
    try:
        return Mount(prefix, app, interface_of(app, interface))
    except TypeError as problem:
        where = f"Mounted at {prefix}: " if prefix else ""
        raise TypeError(f"{where}{problem}") from None


def _check(root: Mount, mounts: list[Mount]) -> None:
    seen: set[str] = set()
    for each in [root, *mounts]:
        if each.prefix in seen:
            raise ValueError(
                f"Two applications are mounted at {each.shown()}. Choose another prefix for one."
            )
        seen.add(each.prefix)


def read_prefix(text: str) -> str:
    """A prefix as a user has written it, decoded. Raises ValueError if it cannot be one."""
    if not isinstance(text, str) or not text.startswith("/"):
        raise ValueError(f"The prefix {text!r} does not start with a slash. Write it like '/api'.")
    plain = text.rstrip("/")
    if not plain:
        raise ValueError(
            f"The prefix {text!r} is that of the root application. Serve the application without"
            " a prefix, or write one like '/api'."
        )
    if ENCODED.search(plain):
        raise ValueError(f"A percent sign in the prefix {text!r} is not encoded. Write it as %25.")
    parts = plain.split("/")[1:]
    try:
        decoded = [unquote(part, errors="strict") for part in parts]
    except UnicodeDecodeError:
        raise ValueError(f"The prefix {text!r} is not UTF-8. Encode it as UTF-8.") from None
    if not all(parts) or any(part in (".", "..") for part in decoded):
        raise ValueError(f"The prefix {text!r} has an empty or a dot segment. Leave it out.")
    if any("/" in part for part in decoded):
        raise ValueError(f"The prefix {text!r} has an encoded slash. Write it like '/api/v1'.")
    if any(mark in plain for mark in "?#") or not "".join(decoded).isprintable():
        raise ValueError(
            f"The prefix {text!r} has a character that cannot be in a path. Leave it out."
        )
    return "/" + "/".join(decoded)


def script_name(prefix: str) -> str:
    """A prefix as SCRIPT_NAME: the bytes of UTF-8 as latin-1 text (PEP 3333)."""
    return prefix if prefix.isascii() else prefix.encode().decode("latin-1")
