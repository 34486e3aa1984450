"""Recordings of servers made by hand, for the tests of chains."""

from __future__ import annotations

from carboy.dev.explain.places import APPLICATION, KERNEL, PYTHON, Place
from carboy.dev.explain.recording import Function, Process, RecordedCall, Recording

HERE = "127.0.0.1:5000"
OWN = (("own", HERE),)
TO_CLIENT = (("own", HERE), ("peer", "127.0.0.1:9"))
LISTENS = (("own", HERE), ("listens", "True"))
C = Place("", 0, 0, KERNEL, KERNEL, "")

Given = tuple[str, str, tuple[tuple[str, str], ...]]


def place(package: str) -> Place:
    return Place(f"/there/{package}/file.py", 10, 20, package, package, f"{package}/file.py")


def recording(*calls: Given, roles: dict[str, str] | None = None) -> Recording:
    """Calls one after the other, each given by its module, its name, and its arguments."""
    process = Process(7, "3.11.7", threads=["MainThread"])
    process.functions.append(Function("main", "launcher", place("launcher")))
    for number, (module, name, args) in enumerate(calls, 1):
        package = {"mine": APPLICATION, "socket": PYTHON, "socketserver": PYTHON}.get(
            module, module
        )
        role = (roles or {}).get(name, "")
        where = place(package) if module else C
        process.functions.append(Function(name, module, where, role))
        result = HERE if name == "socket.bind" else ""
        process.calls.append(
            RecordedCall(number, 0, 30 + number, -1, 0, number, number, number + 1, args, result)
        )
    return Recording("mine", "werkzeug 3.1", HERE, "GET /", "200 OK", 5, [process])


SERVED: tuple[Given, ...] = (
    ("werkzeug.serving", "run_simple", ()),
    ("socket", "socket.__init__", ()),
    ("socket", "socket.__init__", ()),
    ("", "socket.bind", ()),
    ("", "socket.listen", OWN),
    ("socketserver", "BaseServer.serve_forever", ()),
    ("socketserver", "BaseServer._handle_request_noblock", ()),
    ("", "socket._accept", LISTENS),
    ("", "socket.recv", TO_CLIENT),
    ("mine", "hello", ()),
    ("", "socket.sendall", TO_CLIENT),
    ("", "socket.sendall", TO_CLIENT),
    ("", "socket.close", TO_CLIENT),
    ("", "socket.close", LISTENS),
)
