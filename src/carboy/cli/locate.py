"""Finds the application that a user names on the command line.

module   module:name   module:factory("text", key=1)   folder/file.py   folder/file.py:name

Carboy's commands use `load`. `carboy.cli.flask` uses the same steps for Flask's
functions, with Flask's messages: `NoApplication.reason` says which message fits.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from carboy.gateway.callables import ASGI, WHAT_TO_DO, WSGI, is_asgi, is_legacy, named
from carboy.late import difflib

NAMES = ("app", "application")  # Django's wsgi.py has the second
FACTORIES = ("create_app", "make_app")
FILES = ("wsgi.py", "app.py")
VARIABLES = ("CARBOY_APP", "FLASK_APP")
WSGI_FOUND = "wsgi, as far as its parameters show"


class Reason(Enum):
    """Why there is no application."""

    NOT_NAMED = "no application is named"
    NO_MODULE = "the module or file does not exist"
    NOTHING = "the module has no application"
    SEVERAL = "the module has several applications"
    FORM = "the expression is not a name or a call"
    LITERALS = "the arguments are not literals"
    NO_ATTRIBUTE = "the module does not have the name"
    ARGUMENTS = "the arguments do not fit the factory"
    VALUE = "the value is not an application"


class NoApplication(Exception):
    """There is no application where it was looked for; the text says what to do."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class BrokenApplication(Exception):
    """The application's own code raised `__cause__`; the text has its traceback."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A module or file, and the expression in it; "" if the application has to be found."""

    module: str
    expression: str = ""

    def __str__(self) -> str:
        return f"{self.module}:{self.expression}" if self.expression else self.module


@dataclass(frozen=True, slots=True)
class Expression:
    """NAME, NAME.ATTRIBUTE or FACTORY("literal", key=1) as it was written, and its parts."""

    text: str
    target: ast.expr
    called: bool = False
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def choose(given: str | None, environ: Mapping[str, str], folder: Path) -> str:
    """The name of the application: the argument, a variable, or the usual file in `folder`."""
    for text in (given, *(environ.get(name) for name in VARIABLES)):
        if text:
            return text
    for name in FILES:
        if (folder / name).is_file():
            return name
    raise NoApplication(
        Reason.NOT_NAMED,
        "No application was given, and this folder has neither wsgi.py nor app.py. Give one as"
        " MODULE:NAME, for example hello:app, or set CARBOY_APP.",
    )


def parse(text: str) -> Spec:
    """Split at the first colon that does not belong to a drive."""
    path, colon, expression = text.partition(":")
    if os.name == "nt" and len(path) == 1 and expression[:1] in "\\/":  # C:\app.py:app
        rest, colon, expression = expression.partition(":")
        path = f"{path}:{rest}"
    if colon and not expression:
        raise NoApplication(
            Reason.FORM, f"{text!r} ends with a colon. Write a name after it, or leave it out."
        )
    return Spec(path, expression)


def load(text: str, folder: Path | None = None, interface: str = WSGI_FOUND) -> Any:
    """The application that `text` names; the current folder is put on sys.path first.

    `interface` is WSGI_FOUND, or one of carboy.gateway.INTERFACES for a command that serves ASGI
    too. Raises NoApplication or BrokenApplication.
    """
    wanted = WANTED[interface]
    spec = parse(text)
    folder = folder or Path.cwd()
    put_on_path(folder)
    module = import_module(spec.module, folder)
    if not spec.expression:
        return find(module, wanted)
    return evaluate(module, spec.expression, wanted)


# --- modules


def put_on_path(folder: Path) -> None:
    """Have modules of a folder found, before others of the same name."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def module_of_file(path: Path) -> tuple[Path, str]:
    """The folder that has to be on sys.path, and the dotted name, of a file or package."""
    path = path.resolve()
    if path.name in ("__init__.py", "__init__"):
        path = path.parent
    parts = [path.name.removesuffix(".py")]
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
            raise NoApplication(Reason.NO_MODULE, f"There is no file {name} in {folder}.")
        root, name = module_of_file(path)
        put_on_path(root)
    return import_by_name(name, folder)


def import_by_name(name: str, folder: Path) -> ModuleType:
    """Import a dotted name; `folder` is for the message if there is no such module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name is not None and (name + ".").startswith(problem.name + "."):
            text = _no_module(name, problem.name, folder)
            raise NoApplication(Reason.NO_MODULE, text) from None
        raise _broken(name, problem) from problem
    except (Exception, SystemExit) as problem:
        raise _broken(name, problem) from problem


def _broken(name: str, problem: BaseException) -> BrokenApplication:
    from carboy.cli.tracebacks import import_report

    return BrokenApplication(import_report(name, problem))


def _no_module(name: str, missing: str, folder: Path) -> str:
    here = sorted(
        {p.stem for p in folder.glob("*.py")}
        | {p.parent.name for p in folder.glob("*/__init__.py")}
    )
    near = difflib.get_close_matches(missing, here, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if not near and here:
        hint = f" This folder has: {', '.join(here[:8])}."
    wanted = "" if name == missing else f", so {name!r} cannot be imported"
    return f"There is no module {missing!r} in {folder}{wanted}.{hint}"


# --- what is an application


def is_application(thing: Any) -> bool:
    """Whether it can be served: a callable of two arguments that is not a class."""
    if not callable(thing) or inspect.isclass(thing) or is_asgi(thing):
        return False
    return is_flask_like(thing) or _accepts(thing, 2)


def is_asgi_application(thing: Any) -> bool:
    """Whether it is an ASGI application; a class is one in version 2 only."""
    return is_asgi(thing) and (not inspect.isclass(thing) or is_legacy(thing))


# What `carboy run --interface` serves. A forced interface overrules only the detection.
WANTED: dict[str, Callable[[Any], bool]] = {
    WSGI_FOUND: is_application,
    "auto": lambda thing: is_application(thing) or is_asgi_application(thing),
    WSGI: lambda thing: callable(thing) and not inspect.isclass(thing) and _accepts(thing, 2),
    ASGI: lambda thing: is_asgi_application(thing) or (callable(thing) and _accepts(thing, 3)),
}


def is_flask_like(thing: Any) -> bool:
    """Whether it is an application object of Carboy or of Flask.

    Its type is examined first, because a proxy such as `request` raises outside of a request.
    """
    return may_be_flask_like(type(thing)) and hasattr(thing, "url_map")


def may_be_flask_like(kind: type) -> bool:
    """Whether objects of a type may be application objects of Carboy or of Flask."""
    return hasattr(kind, "wsgi_app")


def _not_an_application(
    where: str, thing: Any, wanted: Callable[[Any], bool], verb: str = "is"
) -> NoApplication:
    """The error that says what something is instead."""
    if wanted is WANTED[ASGI] and is_application(thing):
        text = "a WSGI application. Do not choose asgi as its interface."
    elif wanted is WANTED[WSGI] and is_asgi_application(thing):
        text = f"an ASGI application ({named(thing)}). Do not choose wsgi as its interface."
    elif inspect.isclass(thing) and not is_legacy(thing):
        text = "a class. Name an object of the class, or a function."
    elif is_asgi(thing):
        text = f"an ASGI application ({named(thing)}). {WHAT_TO_DO}"
    elif callable(thing):
        text = (
            f"{thing!r}, which cannot be called with (environ, start_response)."
            " Use a WSGI application."
        )
    else:
        advice = "Return" if verb == "returned" else "Name"
        text = f"{thing!r}, which is not an application. {advice} a WSGI application."
    return NoApplication(Reason.VALUE, f"{where} {verb} {text}")


def _is_plain_callable(thing: Any) -> bool:
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


def _is_factory(name: str, thing: Any) -> bool:
    return _is_plain_callable(thing) and name in FACTORIES and _accepts(thing, 0)


def _accepts(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except Exception:  # a built-in function, or a proxy without an object, has no signature
        return True
    return True


# --- an application that is not named


def find(module: ModuleType, wanted: Callable[[Any], bool] = is_application) -> Any:
    """The application of a module: by its usual name, the only one, or from a factory."""
    for name in NAMES:
        candidate = getattr(module, name, None)
        if candidate is not None and wanted(candidate):
            return candidate
    found = {name: value for name, value in vars(module).items() if is_flask_like(value)}
    if len({id(value) for value in found.values()}) > 1:
        names = " or ".join(f"{module.__name__}:{name}" for name in sorted(found))
        raise NoApplication(
            Reason.SEVERAL, f"{module.__name__} has several applications. Name one: {names}."
        )
    if found:
        return next(iter(found.values()))
    for name in FACTORIES:
        factory = getattr(module, name, None)
        if inspect.isfunction(factory):
            return call(module, Expression(name, ast.Name(name)), factory, wanted)
    for name in NAMES:
        if is_asgi(candidate := getattr(module, name, None)):
            raise _not_an_application(f"{module.__name__}:{name}", candidate, wanted)
    raise NoApplication(
        Reason.NOTHING,
        f"{module.__name__} has no application named {' or '.join(NAMES)} and no factory named"
        f" {' or '.join(FACTORIES)}. Name the application: {module.__name__}:NAME.",
    )


# --- an application that is named


def evaluate(module: ModuleType, text: str, wanted: Callable[[Any], bool] = is_application) -> Any:
    """The application that `name`, `name.attribute` or `factory("literal", key=1)` is."""
    expression = parse_expression(text)
    thing = attribute(module, expression.target, text)
    name = ast.unparse(expression.target)
    if expression.called or _is_factory(name, thing):
        return call(module, expression, thing, wanted)
    if wanted(thing):
        return thing
    if _is_plain_callable(thing) and not (is_asgi(thing) or _accepts(thing, 2)):
        return call(module, expression, thing, wanted)
    raise _not_an_application(f"{module.__name__}:{name}", thing, wanted)


def parse_expression(text: str) -> Expression:
    """The parts of an expression; the arguments of a call have to be literals."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise _wrong_form(text) from None
    if not isinstance(tree, ast.Call):
        return Expression(text, tree)
    try:
        args = tuple(ast.literal_eval(arg) for arg in tree.args)
        options = {str(each.arg): ast.literal_eval(each.value) for each in tree.keywords}
    except ValueError:
        raise NoApplication(
            Reason.LITERALS,
            f"The arguments in {text!r} have to be literals, such as strings, numbers and lists.",
        ) from None
    if any(each.arg is None for each in tree.keywords):
        raise _wrong_form(text)
    return Expression(text, tree.func, True, args, options)


def _wrong_form(text: str) -> NoApplication:
    return NoApplication(
        Reason.FORM,
        f"{text!r} cannot be read as the name of an application. Use NAME or"
        ' FACTORY("argument", key=1).',
    )


def attribute(module: ModuleType, target: ast.expr, text: str) -> Any:
    """The value of a name, or of an attribute of a name, in a module."""
    if isinstance(target, ast.Attribute):
        owner = attribute(module, target.value, text)
        name = target.attr
    elif isinstance(target, ast.Name):
        owner, name = module, target.id
    else:
        raise _wrong_form(text)
    try:
        return getattr(owner, name)
    except AttributeError:
        near = difflib.get_close_matches(name, dir(owner), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise NoApplication(
            Reason.NO_ATTRIBUTE, f"The module {module.__name__!r} has no attribute {name!r}.{hint}"
        ) from None


def call(
    module: ModuleType,
    expression: Expression,
    factory: Any,
    wanted: Callable[[Any], bool] = is_application,
) -> Any:
    """The application that a factory makes."""
    where = f"{module.__name__}:{ast.unparse(expression.target)}"
    if not callable(factory):
        raise NoApplication(Reason.VALUE, f"{where} cannot be called. Leave the parentheses out.")
    try:
        inspect.signature(factory).bind(*expression.args, **expression.options)
    except TypeError as problem:
        raise NoApplication(
            Reason.ARGUMENTS,
            f"{where} cannot be called with the given arguments ({problem}). Write the arguments"
            f' after the name, for example {where}("value").',
        ) from problem
    except ValueError:
        pass  # a built-in function without a signature
    try:
        made = factory(*expression.args, **expression.options)
    except (Exception, SystemExit) as problem:
        raise _broken(where, problem) from problem
    if inspect.iscoroutine(made):
        made.close()
        raise NoApplication(
            Reason.VALUE, f"{where} is a coroutine function. Write the factory without async."
        )
    if not wanted(made):
        raise _not_an_application(where, made, wanted, "returned")
    return made
