"""Free-threaded Python: the audit in docs/design.md is complete, and the server works there."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
PACKAGE = CHECKOUT / "src" / "carboy"
ROOMS = ("protocol", "net", "acme", "relay", "gateway", "server", "http", "routing", "app")
KINDS = {"dict", "list", "set", "deque", "WeakKeyDictionary", "WeakValueDictionary", "defaultdict"}
CONSTANTS = re.compile("NO_[A-Z]+|_NO_[A-Z]+|NONE").fullmatch  # empty, and never changed
INTERPRETERS = ("python3.14t", "python3.13t")


def tables_of(file: Path) -> Iterator[str]:
    """The names of a module that are bound to an empty container, which code then fills."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        empty = (
            (isinstance(value, ast.Dict) and not value.keys)
            or (isinstance(value, ast.List) and not value.elts)
            or (isinstance(value, ast.Call) and ast.unparse(value.func) in KINDS and not value.args)
        )
        if empty and isinstance(target, ast.Name) and not CONSTANTS(target.id):
            yield target.id


def test_the_audit_has_every_table_that_threads_share() -> None:
    page = (CHECKOUT / "docs" / "design.md").read_text()
    audit = page.split("### Free-threaded Python")[1].split("\n#", 1)[0]
    documented = {
        f"{module} {name}"
        for module, names in re.findall(r"`([a-z0-9_.]+)` ((?:`\w+`(?:, )?)+)", audit)
        for name in re.findall(r"\w+", names)
    }
    files = [*PACKAGE.glob("*.py"), *(f for room in ROOMS for f in (PACKAGE / room).rglob("*.py"))]
    found = {
        f"{'.'.join(file.relative_to(PACKAGE).with_suffix('').parts)} {name}"
        for file in files
        for name in tables_of(file)
    }
    assert documented == found


def interpreter() -> str:
    """A free-threaded Python that has what the tests need; skips the test without one."""
    for name in INTERPRETERS:
        found = shutil.which(name)
        if found is None:
            continue
        needed = (
            "import pytest, hypothesis, click, jinja2, blinker, itsdangerous, websockets, hpack"
        )
        if subprocess.run([found, "-c", needed], check=False, capture_output=True).returncode == 0:
            return found
        pytest.skip(
            f"{name} has not the packages of the tests. Use: {name} -m pip install -e .[test]"
        )
    pytest.skip(f"No free-threaded Python is installed ({' or '.join(INTERPRETERS)}).")


def test_the_tests_of_the_server_pass_on_free_threaded_python() -> None:
    command = [interpreter(), "-X", "gil=0", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = [f"tests/{room}" for room in ("protocol", "net", "gateway", "server")]
    ran = subprocess.run(
        [*command, *tests],
        check=False,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
