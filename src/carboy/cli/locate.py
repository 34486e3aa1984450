"""From what a user writes after `carboy run` to an application.

module   module:name   module:factory("text", key=1)   folder/file.py   folder/file.py:name
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from carboy.cli.tracebacks import import_report
from carboy.gateway.callables import WHAT_TO_DO, is_asgi, named

NAMES = ("app", "application")  # Django's wsgi.py has the second
FACTORIES = ("create_app", "make_app")
FILES = ("wsgi.py", "app.py")
VARIABLES = ("CARBOY_APP", "FLASK_APP")


class NoApplication(Exception):
    """There is no application where it was looked for; the text says what to do."""


class BrokenApplication(Exception):
    """The application's own code raised; the text holds its traceback."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Which module, and what in it; `expression` "" means: look for it."""

    module: str
    expression: str = ""

    def __str__(self) -> str:
        return f"{self.module}:{self.expression}" if self.expression else self.module


def choose(given: str | None, environ: Mapping[str, str], folder: Path) -> str:
    """What to serve: the argument, a variable, or a file of the usual name in `folder`."""
    for text in (given, *(environ.get(name) for name in VARIABLES)):
        if text:
            return text
    for name in FILES:
        if (folder / name).is_file():
            return name
    raise NoApplication(
        "There is no application named, and no wsgi.py or app.py in this folder. Name it:"
        " carboy run MODULE:NAME, for example `carboy run hello:app`, or set CARBOY_APP."
    )


def parse(text: str) -> Spec:
    """Split at the last colon that does not belong to a path or an argument."""
    path, colon, expression = text.partition(":")
    if os.name == "nt" and len(path) == 1 and expression[:1] in "\\/":  # C:\app.py:app
        rest, colon, expression = expression.partition(":")
        path = f"{path}:{rest}"
    if colon and not expression:
        raise NoApplication(f"{text!r} ends with a colon: write what follows it, or leave it out.")
    return Spec(path, expression)


def load(text: str, folder: Path | None = None) -> Any:
    """The application that `text` names; the current folder is put on sys.path first.

    Raises NoApplication or BrokenApplication.
    """
    spec = parse(text)
    folder = folder or Path.cwd()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = import_module(spec.module, folder)
    return evaluate(module, spec.expression) if spec.expression else find(module)


def module_of_file(path: Path) -> tuple[Path, str]:
    """The folder that has to be on sys.path, and the dotted name, of a file or package."""
    path = path.resolve()
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def import_module(name: str, folder: Path) -> ModuleType:
    """Import a dotted name or a file."""
    path = folder / name
    if name.endswith(".py") or "/" in name or os.sep in name:
        if path.is_dir() and (path / "__init__.py").is_file():
            path = path / "__init__.py"
        if not path.is_file() and path.with_suffix(".py").is_file():
            path = path.with_suffix(".py")
        if not path.is_file():
            raise NoApplication(f"There is no file {name}. Folder: {folder}.")
        root, name = module_of_file(path)
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name is not None and (name + ".").startswith(problem.name + "."):
            raise NoApplication(_no_module(name, problem.name, folder)) from None
        raise BrokenApplication(import_report(name, problem)) from problem
    except (Exception, SystemExit) as problem:
        raise BrokenApplication(import_report(name, problem)) from problem


def _no_module(name: str, missing: str, folder: Path) -> str:
    here = sorted(
        {p.stem for p in folder.glob("*.py")}
        | {p.parent.name for p in folder.glob("*/__init__.py")}
    )
    near = get_close_matches(missing, here, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if not near and here:
        hint = f" In this folder there are: {', '.join(here[:8])}."
    return f"There is no module {missing!r} to import {name!r} from (folder: {folder}).{hint}"


def is_application(thing: Any) -> bool:
    """Whether it can be served as it is: a callable of two arguments that is not a class."""
    if not callable(thing) or inspect.isclass(thing) or is_asgi(thing):
        return False
    return is_flask_like(thing) or _accepts(thing, 2)


def not_an_application(where: str, thing: Any, verb: str = "is") -> NoApplication:
    """The error that says what something is instead."""
    if is_asgi(thing):
        return NoApplication(f"{where} {verb} an ASGI application ({named(thing)}). {WHAT_TO_DO}")
    if inspect.isclass(thing):
        return NoApplication(f"{where} {verb} a class. Name an object of it, or a function.")
    if callable(thing):
        return NoApplication(
            f"{where} {verb} {thing!r}, which cannot be called with (environ, start_response)."
            " Name a WSGI application."
        )
    return NoApplication(f"{where} {verb} {thing!r}, which is not an application. Name one.")


def is_flask_like(thing: Any) -> bool:
    """Whether it is an application object of Carboy's or of Flask's kind.

    Asked of its type first: a proxy such as `request` cannot be asked outside a request.
    """
    return hasattr(type(thing), "wsgi_app") and hasattr(thing, "url_map")


def _plain_callable(thing: Any) -> bool:
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


def _accepts(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except Exception:  # built in, or a proxy of nothing, and does not tell
        return True
    return True


def find(module: ModuleType) -> Any:
    """The application of a module that is not named: by name, by kind, by factory."""
    for name in NAMES:
        candidate = getattr(module, name, None)
        if candidate is not None and is_application(candidate):
            return candidate
    found = {name: value for name, value in vars(module).items() if is_flask_like(value)}
    if len({id(value) for value in found.values()}) > 1:
        names = " or ".join(f"{module.__name__}:{name}" for name in sorted(found))
        raise NoApplication(f"{module.__name__} has several applications. Name one: {names}.")
    if found:
        return next(iter(found.values()))
    for name in NAMES:
        if is_asgi(candidate := getattr(module, name, None)):
            raise not_an_application(f"{module.__name__}:{name}", candidate)
    for name in FACTORIES:
        factory = getattr(module, name, None)
        if inspect.isfunction(factory):
            return _call(module, name, factory, (), {})
    raise NoApplication(
        f"{module.__name__} has no application named {' or '.join(NAMES)} and no factory named"
        f" {' or '.join(FACTORIES)}. Name it: {module.__name__}:NAME."
    )


def evaluate(module: ModuleType, expression: str) -> Any:
    """What `name`, `name.attribute` or `factory("literal", key=1)` is in a module."""
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise NoApplication(_form(expression)) from None
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}
    called = isinstance(tree, ast.Call)
    if isinstance(tree, ast.Call):
        args, options = _literals(tree, expression)
        tree = tree.func
    thing = _attribute(module, tree, expression)
    name = ast.unparse(tree)
    if not called and is_asgi(thing) and not _is_factory(name, thing):
        raise not_an_application(f"{module.__name__}:{name}", thing)
    if called or (_plain_callable(thing) and not _accepts(thing, 2)) or _is_factory(name, thing):
        return _call(module, name, thing, args, options)
    if not is_application(thing):
        raise not_an_application(f"{module.__name__}:{name}", thing)
    return thing


def _is_factory(name: str, thing: Any) -> bool:
    return _plain_callable(thing) and name in FACTORIES and _accepts(thing, 0)


def _literals(call: ast.Call, expression: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        args = tuple(ast.literal_eval(arg) for arg in call.args)
        options = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        raise NoApplication(
            f"The arguments in {expression!r} have to be literals: text, numbers, lists, …"
        ) from None
    if "" in options:
        raise NoApplication(_form(expression))
    return args, options


def _form(expression: str) -> str:
    return f'{expression!r} is neither NAME nor FACTORY("argument", key=1).'


def _attribute(module: ModuleType, tree: ast.expr, expression: str) -> Any:
    if isinstance(tree, ast.Attribute):
        owner = _attribute(module, tree.value, expression)
        name = tree.attr
    elif isinstance(tree, ast.Name):
        owner, name = module, tree.id
    else:
        raise NoApplication(_form(expression))
    try:
        return getattr(owner, name)
    except AttributeError:
        near = get_close_matches(name, dir(owner), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise NoApplication(f"{module.__name__} has no {name!r}.{hint}") from None


def _call(
    module: ModuleType, name: str, factory: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    where = f"{module.__name__}:{name}"
    if not callable(factory):
        raise NoApplication(f"{where} cannot be called: leave the parentheses out.")
    try:
        inspect.signature(factory).bind(*args, **options)
    except TypeError as problem:
        raise NoApplication(
            f"{where} is called without the arguments it needs ({problem}):"
            f' write them behind it, like {where}("value").'
        ) from None
    except ValueError:
        pass  # built in, and does not tell
    try:
        made = factory(*args, **options)
    except (Exception, SystemExit) as problem:
        raise BrokenApplication(import_report(where, problem)) from problem
    if inspect.iscoroutine(made):
        made.close()
        raise NoApplication(f"{where} is a coroutine function. Write the factory without async.")
    if not is_application(made):
        raise not_an_application(where, made, "returned")
    return made
