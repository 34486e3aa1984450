"""Packages whose names load when they are first used, and the stubs that type checkers read."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.parse
from importlib import import_module
from pathlib import Path

import pytest

from carboy.late import compiled_later, parse
from write_stubs import PACKAGES, path, stub

CACHE = Path(__file__).resolve().parents[1] / ".mypy_cache" / "users"

USER = """
from carboy import Flask, request
from carboy.http import Headers
app = Flask(__name__)
name: str = app.name
method: int = request.method
length: str = len(Headers())
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_the_stub_agrees_with_the_table(package: str) -> None:
    told = f"The stub of {package} is out of date. Run: python tools/write_stubs.py"
    assert path(package).read_text() == stub(package), told


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_can_be_imported(package: str) -> None:
    module = import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        import_module(package).nothing  # noqa: B018


def test_importing_the_packages_loads_none_of_their_modules() -> None:
    code = (
        f"import sys, {', '.join(PACKAGES)}\n"
        "print(*sorted(name for name in sys.modules if name.startswith('carboy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == sorted([*PACKAGES, "carboy.lazy"])


APPLICATION = """
import sys
from carboy import Flask, abort, redirect, request, session, url_for
app = Flask("hello")
app.add_url_rule("/", "hello", lambda: "Hello")
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "a", "wsgi.url_scheme": "http"}
assert b"".join(app(environ, lambda *args: None)) == b"Hello"
"""
SERVED = "import carboy.cli.run, carboy.server.serve"
# Each takes longer to load than all of the modules that answer a request with text.
UNUSED_BY_SERVERS = {
    "_hashlib", "asyncio", "blinker", "bz2", "concurrent", "cryptography", "difflib", "email",
    "hashlib", "hmac", "html", "http.client", "http.server", "itsdangerous", "jinja2", "lzma",
    "markupsafe", "multiprocessing", "pickle", "shutil", "sqlite3", "ssl", "subprocess", "tempfile",
    "tomllib", "tracemalloc", "unittest", "urllib.request", "uvloop", "watchfiles", "websockets",
    "xml",
}  # fmt: skip
# They are needed with an option only. What handles a fault is loaded with the server: then no
# descriptor may be left, or a deployment has removed the files.
UNUSED_BY_SERVERS |= {
    "carboy.acme.problems", "carboy.gateway.static.gateway", "carboy.server.processes.canary",
    "carboy.server.processes.preload", "carboy.server.response_cache.gateway",
    "carboy.protocol.proxy_protocol", "carboy.relay.client", "carboy.server.http2.pipe",
    "carboy.server.processes.command_runner", "click.shell_completion", "http", "shlex",
}  # fmt: skip
UNUSED_BY_APPLICATIONS = UNUSED_BY_SERVERS | {
    "carboy.app.blueprint",
    "carboy.http.fields.accept", "carboy.http.fields.cookies", "carboy.http.fields.etag",
    "carboy.http.forms.parser", "click", "ctypes", "dataclasses", "decimal", "inspect", "logging",
    "random", "socket", "traceback", "uuid",
}  # fmt: skip

UNUSED_BY_IMPORTS = UNUSED_BY_APPLICATIONS | {
    "base64", "importlib.util", "ipaddress", "pathlib", "string", "urllib.parse",
}  # fmt: skip


def test_importing_the_names_of_an_application_compiles_no_types_and_few_modules() -> None:
    # The first string in a type, such as a field of a NamedTuple, makes the classes of `ast`.
    code = """
import sys, typing
before = {*sys.modules}
def init(self, *args, **kwargs): raise AssertionError("A type is a string.")
typing.ForwardRef.__init__ = init
from carboy import Flask, request
print(*({*sys.modules} - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not UNUSED_BY_IMPORTS & set(done.stdout.split())


def test_an_expression_that_is_compiled_later_is_the_expression() -> None:
    later = compiled_later(r"(a)\.b", re.IGNORECASE)
    found = later.fullmatch("A.b")
    assert found is not None
    assert found[1] == "A"
    assert later.fullmatch("Ab") is None
    assert later.groups == 1
    with pytest.raises(AttributeError, match="nothing"):
        later.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("code", "unused"),
    [(APPLICATION, UNUSED_BY_APPLICATIONS), (APPLICATION + SERVED, UNUSED_BY_SERVERS)],
    ids=["application", "server"],
)
def test_a_small_application_loads_little(code: str, unused: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert not unused & set(done.stdout.split())


def test_a_type_checker_knows_the_names(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(CACHE)]
    done = subprocess.run(
        [*mypy, "user.py"], cwd=tmp_path, capture_output=True, check=False, text=True
    )
    errors = [line for line in done.stdout.splitlines() if "error" in line and "Found" not in line]
    assert errors == [
        'user.py:6: error: Incompatible types in assignment (expression has type "str",'
        ' variable has type "int")  [assignment]',
        'user.py:7: error: Incompatible types in assignment (expression has type "int",'
        ' variable has type "str")  [assignment]',
    ], done.stdout + done.stderr


def test_a_module_that_loads_later_has_the_names_that_the_module_has_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parse.quote is urllib.parse.quote
    monkeypatch.setattr("urllib.parse.quote", len)
    assert parse.quote("abc") == 3  # type: ignore[comparison-overlap]
    monkeypatch.undo()
    assert parse.quote("a b") == "a%20b"
    with pytest.raises(AttributeError, match="nothing"):
        parse.nothing  # type: ignore[attr-defined]  # noqa: B018
