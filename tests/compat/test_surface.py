"""The public surface of the real packages, walked and compared: what can be called there can
be called in the same way here.

Each side is examined in its own interpreter, because only one of them can have the names.
"""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from compat.surface_modules import MODULES

# name that differs: reason
INTENDED = {
    "werkzeug.debug.send_file": "imported there for its own use",
    "werkzeug.formparser.MultiPartParser.start_file_streaming": "a step of their own parser",
    **{
        f"werkzeug.{module}{kind}CacheControl.cache_property": "makes the class, no use after"
        for module in ("datastructures.", "datastructures.cache_control.")
        for kind in ("Request", "Response")
    },
    "werkzeug.sansio.request.RequestCacheControl.cache_property": "makes the class",
    "werkzeug.sansio.response.ResponseCacheControl.cache_property": "makes the class",
    **{
        f"werkzeug.{path}_property.lookup": "the name of a parameter given by position"
        for path in (
            *("utils.environ", "utils.header", "sansio.request.header", "sansio.response.header"),
            "wrappers.request.environ",
        )
    },
}

LOOK = """
import importlib, inspect, json, sys, warnings
warnings.simplefilter("ignore")
wanted = json.load(sys.stdin)
if sys.argv[1] == "carboy":
    import carboy.compat
    carboy.compat.install()

def kind(value):
    return "class" if inspect.isclass(value) else "callable" if callable(value) else "value"

def simple(value):
    return isinstance(value, (bool, int, str, type(None)))

def parameters(value):
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        (p.name, p.kind.name, p.default is not p.empty,
         repr(p.default) if p.default is not p.empty and simple(p.default) else None)
        for p in found
    ]

def public(module):
    root = module.__name__.partition(".")[0]
    return [
        name for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
        and str(getattr(value, "__module__", "")).startswith(root)
        and type(value).__name__ not in ("TypeVar", "ParamSpec")
    ]

seen = {}
for path, names in wanted.items():
    module = importlib.import_module(path)
    for name in names or public(module):
        try:
            value = getattr(module, name)
        except AttributeError:
            continue
        seen[f"{path}.{name}"] = (kind(value), parameters(value) if callable(value) else None)
        if inspect.isclass(value):
            for member in dir(value):
                if not member.startswith("_"):
                    each = getattr(value, member, None)
                    callable_ = callable(each) and not inspect.isclass(each)
                    shape = ("callable", parameters(each)) if callable_ else ("value", None)
                    seen[f"{path}.{name}.{member}"] = shape
print(json.dumps(seen))
"""

Surface = dict[str, tuple[str, Any]]


def look(side: str, wanted: dict[str, list[str]]) -> Surface:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, side],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found: Surface = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def sides() -> tuple[Surface, Surface]:
    real = look("real", {module: [] for module in MODULES.split()})
    names: dict[str, list[str]] = {module: [] for module in MODULES.split()}
    for path in real:
        module = max((m for m in names if path.startswith(f"{m}.")), key=len)
        name = path.removeprefix(f"{module}.")
        if "." not in name:
            names[module].append(name)
    return real, look("carboy", names)


def test_every_public_name_exists(sides: tuple[Surface, Surface]) -> None:
    real, ours = sides
    assert len(real) > 2500
    missing = [path for path in real if path not in ours and path not in INTENDED]
    assert [path for path in missing if not of_another_server(path)] == []


def of_another_server(path: str) -> bool:
    """A method of socketserver, which Werkzeug's servers inherit from and ours do not."""
    module, _, name = path.rpartition(".")
    parts = (socketserver.ForkingMixIn, socketserver.ThreadingMixIn, HTTPServer)
    return module.endswith("WSGIServer") and any(hasattr(part, name) for part in parts)


def test_classes_are_classes_and_callables_are_callable(sides: tuple[Surface, Surface]) -> None:
    real, ours = sides
    wrong = [path for path in real if path in ours and real[path][0] != ours[path][0]]
    assert [path for path in wrong if path not in INTENDED] == []


def refused(theirs: Any, mine: Any) -> list[str]:
    """Parameters of the real function that have no counterpart here, or another meaning."""
    known = {name: (kind, optional, default) for name, kind, optional, default in mine}
    takes_names = any(kind == "VAR_KEYWORD" for _, kind, _, _ in mine)
    takes_more = any(kind == "VAR_POSITIONAL" for _, kind, _, _ in mine)
    wrong = []
    for name, kind, optional, default in theirs:
        if name == "self":  # a function that is a method of a class may call it by the class
            continue
        if kind in ("VAR_KEYWORD", "VAR_POSITIONAL"):
            if not (takes_names if kind == "VAR_KEYWORD" else takes_more):
                wrong.append(kind)
        elif name not in known:
            if kind == "POSITIONAL_ONLY" or not takes_names:
                wrong.append(name)
        else:
            here, free, value = known[name]
            if here not in (kind, "POSITIONAL_OR_KEYWORD") or (optional and not free):
                wrong.append(name)
            elif optional and default != value:
                wrong.append(f"{name}={default}")
    return wrong


def test_every_valid_call_of_the_real_packages_is_valid_here(
    sides: tuple[Surface, Surface],
) -> None:
    real, ours = sides
    wrong = {
        path: found
        for path, (_, parameters) in real.items()
        if path in ours and path not in INTENDED
        if parameters is not None and ours[path][1] is not None
        if (found := refused(parameters, ours[path][1]))
    }
    assert wrong == {}
