"""The server depends on the members of ConnectionMachine and on nothing else of a machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import carboy.server
from carboy.protocol import Limits, Machine
from carboy.protocol.interface import ConnectionMachine

FILES = sorted(Path(carboy.server.__file__).parent.rglob("*.py"))
MEMBERS = set(ConnectionMachine.__annotations__) | {
    name for name in vars(ConnectionMachine) if not name.startswith("_")
}


def used(tree: ast.AST) -> Iterator[str]:
    """The attributes of everything that is called `machine`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of = node.value
            name = of.id if isinstance(of, ast.Name) else getattr(of, "attr", "")
            if name == "machine":
                yield node.attr


def test_the_server_uses_exactly_the_members_of_the_interface() -> None:
    found = {name for file in FILES for name in used(ast.parse(file.read_text()))}
    assert found == MEMBERS


def test_only_files_that_accept_connections_name_the_machine_of_http_1() -> None:
    importing = [file.name for file in FILES if "carboy.protocol.machine" in file.read_text()]
    assert sorted(importing) == ["accepting.py", "peer.py"]


def test_the_machine_of_http_1_has_every_member() -> None:
    machine = Machine(Limits())
    assert [name for name in MEMBERS if not hasattr(machine, name)] == []


def test_the_server_never_decides_itself_whether_a_connection_is_kept() -> None:
    assignments = [
        f"{file.name}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr in ("must_close", "reading", "writing")
    ]
    assert assignments == []
