"""Which handler answers which path of the admin server.

A handler gets the Call and the Operations, and returns a Reply. A handler that asks workers is a
generator function: it yields an Ask, gets the Answers, and returns the Reply:

    def memory(call: Call, server: Operations) -> Steps:
        answers = yield Ask("memory")
        return Reply({str(each.worker): each.value for each in answers.values()})

Add it to `all_paths` (table.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from carboy.server.admin.call import Call, Refused, Reply, Steps
from carboy.server.admin.operations import Operations
from carboy.server.dataclass import dataclass

Handler = Callable[[Call, Operations], Reply | Steps]


class Access(Enum):
    """The clients that may use a path at an address with a port. A unix socket is for its user."""

    TOKEN = "those that have the token"
    LOOPBACK = "also processes of this machine, without it"
    OPEN = "all"


@dataclass(frozen=True, slots=True)
class Path:
    """The handler of one method of a path."""

    handler: Handler
    access: Access


class Paths:
    """The table of paths."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, Path]] = {}

    def add(self, method: str, path: str, handler: Handler, access: Access = Access.TOKEN) -> None:
        """Have `handler` answer this method of this path."""
        self._paths.setdefault(path, {})[method] = Path(handler, access)

    def find(self, method: str, path: str) -> Path:
        """The handler. Raises Refused if there is no such path, or it has other methods."""
        methods = self._paths.get(path)
        if methods is None:
            known = ", ".join(sorted(self._paths))
            raise Refused(404, f"There is no {path} here. Use one of {known}.")
        found = methods.get("GET" if method == "HEAD" else method)
        if found is None:
            raise Refused(405, f"{path} has {' and '.join(sorted(methods))}, not {method}.")
        return found
