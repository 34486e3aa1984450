"""A gateway before that of the application: files of folders are answered without it.

GET and HEAD for the path of a file are answered here. The application gets everything else: other
methods, and paths without a file, as with nginx's `try_files`.

    prepare   compares the path with the prefixes, and touches no disk
    handle    looks for the file; without one, the application's gateway goes on

The dispatch key of a path that looks like that of a file is STATIC. That of other paths is the
application's, so the times of its views are learned as without this gateway.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from carboy.gateway.interface import Answer, Gateway
from carboy.gateway.mounts import script_name
from carboy.gateway.request_fields import fields_of, preferred_coding
from carboy.gateway.static.answers import Caching, Representation, answer
from carboy.gateway.static.files import Changed, File, Files
from carboy.gateway.static.memory import Memory
from carboy.gateway.static.paths import file_name
from carboy.gateway.wsgi import decode_path

STATIC = "static"  # the dispatch key
METHODS = frozenset({"GET", "HEAD"})
# The server's order: the smallest first.
SUFFIXES = {"br": b".br", "zstd": b".zst", "gzip": b".gz"}
INDEX = b"index.html"
TRIES = 5  # for a file that changes while it is opened
MISSES = 4096  # paths remembered for which the application was asked


class Folder(NamedTuple):
    """A folder whose files are served below `prefix`, which is decoded and has no slash at its end.

    The prefix "" is that of all paths.
    """

    prefix: str
    path: bytes


class StaticGateway:
    """Answers with files of `folders`, or passes the request to the gateway `inner`."""

    def __init__(
        self,
        inner: Gateway,
        folders: Iterable[Folder],
        caching: Caching,
        index: bool = False,
        memory: int = 0,
    ) -> None:
        self._inner = inner
        self._prepare = inner.prepare
        self.body_limit = inner.body_limit
        self.wants_stream = inner.wants_stream
        self._caching = caching
        self._index = index
        self.memory = kept = Memory(memory)
        # The longest prefix first.
        search = sorted(folders, key=lambda each: -each.prefix.count("/"))
        self._folders = [(script_name(each.prefix), Files(each.path, kept)) for each in search]
        # The routes of their files (gateway/route.py)
        self._routes = {
            files: f"{each.prefix}/(files)"
            for each, (_, files) in zip(search, self._folders, strict=True)
        }
        self._misses: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """The optional attributes of a gateway, such as `turn` and `start`: those of `inner`."""
        return getattr(self._inner, name)

    # --- what the engine calls

    def prepare(self, exchange: Any) -> Hashable:
        """STATIC for the path of a file, or the dispatch key of the application."""
        head = exchange.head
        if head.method not in METHODS or head.has_body or head.upgrade:
            return self._prepare(exchange)
        path = head.path
        found = self._below(path)
        if found is None:
            return self._prepare(exchange)
        exchange.static_file = found
        if path in self._misses or not _looks_like_a_file(path):
            return self._prepare(exchange)
        exchange.static_file = (*found, head)
        return STATIC

    def _below(self, path: str) -> tuple[Files, str] | None:
        """The folder for a path, and the rest of the path."""
        for prefix, files in self._folders:
            size = len(prefix)
            if path.startswith(prefix):
                if path[size : size + 1] in ("/", ""):
                    return files, path[size:]
            elif "%" in path:
                parts = prefix.split("/")
                begun = path.split("/", len(parts))
                if len(begun) > len(parts) and list(map(decode_path, begun[:-1])) == parts:
                    return files, f"/{begun[-1]}"
        return None

    def handle(self, exchange: Any) -> Answer:
        """The file, or the answer of the application."""
        found = exchange.static_file
        if found is not None:
            exchange.static_file = None
            made = self._answer(exchange, found[0], found[1])
            if made is not None:
                exchange.rule = self._routes[found[0]]
                return made
            if len(found) > 2:
                path = found[2].path
                if len(self._misses) >= MISSES:
                    self._misses.clear()
                self._misses.add(path)
                self._prepare(exchange)
        result: Answer = self._inner.handle(exchange)
        return result

    # --- files

    def _answer(self, exchange: Any, files: Files, path: str) -> Answer | None:
        name = file_name(path)
        if name is None:
            return None
        head = exchange.head
        for _ in range(TRIES):
            file = files.find(name)
            if file is not None and file.is_folder:
                if not self._index:
                    return None
                index = files.find(name.rstrip(b"/") + b"/" + INDEX if name else INDEX)
                if index is None or index.is_folder:
                    return None
                if not path.endswith("/"):
                    return _with_slash(exchange)
                file = index
            if file is None:
                return None
            fields = fields_of(head)
            try:
                found = self._representation(files, file, fields.get("accept-encoding", ""))
                return answer(files, found, fields, head.method)
            except Changed:
                continue
        return None

    def _representation(self, files: Files, file: File, accepted: str) -> Representation:
        """The file as it is, or compressed before if the client prefers that."""
        codings = files.siblings(file, SUFFIXES)
        coding = preferred_coding(accepted, codings) if codings else None
        chosen: File | None = file
        if coding is not None:
            chosen = files.sibling(file, SUFFIXES[coding])
            if chosen is None:
                coding, chosen = None, file
        key = (coding or "", *codings)
        found: Representation | None = file.representations.get(key)
        if found is None or found.file is not chosen:
            found = Representation(chosen or file, file, coding, bool(codings), self._caching)
            file.representations[key] = found
        return found


def _looks_like_a_file(path: str) -> bool:
    """Whether the last segment has a dot: nearly all names of files have one, and few routes."""
    return "." in path[path.rfind("/") :]


def _with_slash(exchange: Any) -> Answer:
    """A redirect to the path of a folder, so that the links of its page work."""
    head = exchange.head
    query = f"?{head.query}" if head.query else ""
    where = f"{quote(exchange.outer_path)}{head.path}/{query}"
    headers = [("Location", where), ("Content-Type", "text/plain; charset=utf-8")]
    return "301 Moved Permanently", headers, b"301 Moved Permanently\n", None
