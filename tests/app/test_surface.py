"""Carboy has all names and signatures that applications and extensions rely on."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import flask
import flask.cli
import flask.testing
import flask.views
import pytest

import carboy
from carboy.lazy import homes

MODULES = {
    "flask.config": "carboy.app.config",
    "flask.ctx": "carboy.app.context",
    "flask.globals": "carboy.app.globals",
    "flask.helpers": "carboy.app.helpers",
    "flask.json": "carboy.app.json",
    "flask.json.provider": "carboy.app.json.provider",
    "flask.json.tag": "carboy.app.json.tag",
    "flask.logging": "carboy.app.logging",
    "flask.sessions": "carboy.app.sessions",
    "flask.signals": "carboy.app.signals",
    "flask.templating": "carboy.app.templating",
    "flask.typing": "carboy.app.typing",
    "flask.views": "carboy.app.views",
    "flask.wrappers": "carboy.app.wrappers",
}
CLASSES = {
    flask.Flask: ("carboy.app.app", "Carboy"),
    flask.Blueprint: ("carboy.app.blueprint", "Blueprint"),
    flask.blueprints.BlueprintSetupState: ("carboy.app.blueprint", "BlueprintSetupState"),
    flask.Config: ("carboy.app.config", "Config"),
    flask.Request: ("carboy.app.wrappers", "Request"),
    flask.Response: ("carboy.app.wrappers", "Response"),
    flask.ctx.AppContext: ("carboy.app.context", "AppContext"),
    flask.ctx.RequestContext: ("carboy.app.context", "RequestContext"),
    flask.ctx._AppCtxGlobals: ("carboy.app.context", "_AppCtxGlobals"),
    flask.sessions.SessionMixin: ("carboy.app.sessions", "SessionMixin"),
    flask.sessions.SecureCookieSession: ("carboy.app.sessions", "SecureCookieSession"),
    flask.sessions.NullSession: ("carboy.app.sessions", "NullSession"),
    flask.sessions.SessionInterface: ("carboy.app.sessions", "SessionInterface"),
    flask.sessions.SecureCookieSessionInterface: (
        "carboy.app.sessions",
        "SecureCookieSessionInterface",
    ),
    flask.json.provider.JSONProvider: ("carboy.app.json.provider", "JSONProvider"),
    flask.json.provider.DefaultJSONProvider: ("carboy.app.json.provider", "DefaultJSONProvider"),
    flask.json.tag.JSONTag: ("carboy.app.json.tag", "JSONTag"),
    flask.json.tag.TaggedJSONSerializer: ("carboy.app.json.tag", "TaggedJSONSerializer"),
    flask.templating.Environment: ("carboy.app.templating", "Environment"),
    flask.templating.DispatchingJinjaLoader: ("carboy.app.templating", "DispatchingJinjaLoader"),
    flask.views.View: ("carboy.app.views", "View"),
    flask.views.MethodView: ("carboy.app.views", "MethodView"),
    flask.cli.AppGroup: ("carboy.app.commands", "AppGroup"),
    flask.cli.ScriptInfo: ("carboy.app.commands", "ScriptInfo"),
}
# What a module imports for itself is not its surface.
OWN = {"flask.globals": {"_cv_app", "_cv_request"}}


def ours(where):
    return getattr(importlib.import_module(where[0]), where[1])


def public(obj):
    return {name for name in dir(obj) if not name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_every_name_that_flasks_defines(name) -> None:
    module = importlib.import_module(name)
    mine = importlib.import_module(MODULES[name])
    wanted = set(OWN.get(name, ()))
    for key, value in vars(module).items():
        own = getattr(value, "__module__", None) == name or not hasattr(value, "__module__")
        if not key.startswith("_") and own and not inspect.ismodule(value):
            wanted.add(key)
    wanted -= {"annotations", "F", "T", "T_route", "T_shell_context_processor"}
    missing = {key for key in wanted if not hasattr(mine, key) and not key.startswith("T_")}
    assert not missing


def test_the_package_exports_what_flask_exports() -> None:
    exported = {name for name in vars(flask) if not name.startswith("_")}
    exported -= {name for name in exported if inspect.ismodule(getattr(flask, name))} - {"json"}
    exported.discard("annotations")
    exported.discard("t")
    assert exported <= set(carboy.__all__)
    own = {name for name, module, _ in homes(carboy.NAMES) if not module.startswith("carboy.app")}
    own.add("after_response")
    assert set(carboy.__all__) <= exported | own | {"Carboy"}
    for name in carboy.__all__:
        assert getattr(carboy, name) is not None
    assert carboy.Flask is carboy.Carboy
    assert set(carboy.__all__) <= set(dir(carboy))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_has_every_public_attribute(kind) -> None:
    missing = public(kind) - public(ours(CLASSES[kind]))
    assert not missing


def parameters(function):
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        (each.name, each.kind)
        + ((each.default,) if isinstance(each.default, str | int | bool | None | tuple) else ())
        for each in found
        if each.name != "self"
    ]


def pairs():
    for kind, where in CLASSES.items():
        for name in sorted(public(kind) | {"__init__"}):
            value = inspect.getattr_static(kind, name)
            if not inspect.isfunction(value) or not value.__module__.startswith("flask"):
                continue
            yield pytest.param(kind, where, name, id=f"{kind.__name__}.{name}")


@pytest.mark.parametrize(("kind", "where", "name"), [*pairs()])
def test_a_method_takes_the_same_parameters(kind, where, name) -> None:
    assert parameters(getattr(ours(where), name)) == parameters(getattr(kind, name))


FUNCTIONS = [
    (name, key)
    for name in MODULES
    for key, value in vars(importlib.import_module(name)).items()
    if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_")
]


@pytest.mark.parametrize(("name", "key"), FUNCTIONS)
def test_a_function_takes_the_same_parameters(name, key) -> None:
    mine = getattr(importlib.import_module(MODULES[name]), key)
    assert parameters(mine) == parameters(getattr(importlib.import_module(name), key))


def test_an_application_has_the_attributes_of_flasks() -> None:
    theirs, mine = flask.Flask("scenario"), carboy.Carboy("scenario")
    missing = {name for name in vars(theirs) if not name.startswith("_")} - set(dir(mine))
    assert not missing
    blueprints = flask.Blueprint("b", "scenario"), carboy.Blueprint("b", "scenario")
    assert not {n for n in vars(blueprints[0]) if n[0] != "_"} - set(dir(blueprints[1]))


def test_the_configuration_starts_with_the_same_values() -> None:
    assert dict(carboy.Carboy("s").config) == dict(flask.Flask("s").config)
    assert dict(carboy.Carboy.default_config) == dict(flask.Flask.default_config)


# Modules of other packages that an import loads, without those that Python's own need.
OF_CARBOY = {"__future__", "importlib", "typing"}
OF_AN_APPLICATION = OF_CARBOY | {
    "base64", "collections", "contextlib", "contextvars", "copy", "datetime", "enum", "errno",
    "functools", "importlib.machinery", "importlib.util", "itertools", "json", "markupsafe", "math",
    "operator", "os", "pathlib", "re", "sys", "threading", "time", "types", "urllib.parse",
    "warnings", "weakref", "zlib",
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import carboy", OF_CARBOY),
        ("from carboy import Flask; Flask('x')", OF_AN_APPLICATION),
    ],
)
def test_an_import_loads_only_the_modules_in_a_list(code: str, expected: set[str]) -> None:
    needed = " ".join(f"import {name};" for name in sorted(expected))
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}; {needed} before = set(sys.modules); {code};"
        "print(*sorted(name for name in set(sys.modules) - before"
        " if name[0] != '_' and not name.startswith(('carboy', 'cython_runtime'))))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


def test_importing_carboy_loads_nothing_heavy() -> None:
    code = (
        "import sys, carboy; from carboy import Carboy, request, session, jsonify, Blueprint;"
        "app = Carboy('x'); app.route('/')(lambda: 'x');"
        "print(*sorted({'jinja2', 'click', 'asyncio', 'ssl', 'sqlite3', 'tempfile', 'logging',"
        " 'itsdangerous', 'blinker', 'inspect', 'socket', 'email', 'importlib.metadata', 'random',"
        " 'hashlib', 'ast', 'dataclasses', 'selectors', 'subprocess', 'traceback'}"
        " & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == []
