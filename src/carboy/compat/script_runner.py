"""Runs a script, a module, a folder or a zip file as `python` itself would.

A traceback is shown without the frames of Carboy, which are not the program's.
"""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn


def run_script(path: str, arguments: list[str]) -> None:
    """`python path arguments…`."""
    sys.argv = [path, *arguments]
    full = _absolute(path)
    _first_on_path(str(Path(full).resolve().parent))  # of the target of a link, as python does

    def load(module: ModuleType) -> Any:
        compiled = path.endswith(".pyc")
        loader = (SourcelessFileLoader if compiled else SourceFileLoader)("__main__", full)
        module.__loader__, module.__file__ = loader, full
        vars(module)["__cached__"] = None
        if compiled:
            return loader.get_code("__main__")
        with io.open_code(full) as file:
            return compile(file.read(), full, "exec", dont_inherit=True)

    _run(load)


def main_in(path: str) -> ModuleSpec | None:
    """The `__main__` module of a folder or a zip file; None if there is none."""
    importer = pkgutil.get_importer(_absolute(path))
    return importer.find_spec("__main__") if importer is not None else None


def run_container(path: str, spec: ModuleSpec, arguments: list[str]) -> None:
    """`python path arguments…` for a folder or a zip file."""
    sys.argv = [path, *arguments]
    _first_on_path(_absolute(path))
    _run_spec(spec)


def run_module(name: str, arguments: list[str]) -> None:
    """`python -m name arguments…`."""
    _first_on_path(os.getcwd())  # noqa: PTH109
    spec = _program(name)
    sys.argv = [spec.origin or name, *arguments]
    _run_spec(spec)


def _program(name: str) -> ModuleSpec:
    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = find_spec(name)
    except ModuleNotFoundError as problem:
        if problem.name is None or not name.startswith(problem.name):
            raise
        spec = None
    if spec is None:
        end(f"No module named {name}")
    return spec


def end(text: str) -> NoReturn:
    """End as python does when there is nothing to run."""
    raise SystemExit(f"{sys.executable}: {text}")


def _absolute(path: str) -> str:
    return os.path.join(os.getcwd(), path)  # noqa: PTH109,PTH118 — not normalized, as python does


def _first_on_path(entry: str) -> None:
    # Replace the entry for Carboy's own start.
    if not sys.flags.safe_path:
        sys.path[:1] = [entry]


def _run_spec(spec: ModuleSpec) -> None:
    loader: Any = spec.loader

    def load(module: ModuleType) -> Any:
        module.__spec__, module.__loader__, module.__file__ = spec, loader, spec.origin
        module.__package__ = spec.parent
        vars(module)["__cached__"] = spec.cached
        return loader.get_code(spec.name)

    _run(load)


def _run(load: Any) -> None:
    module = ModuleType("__main__")
    vars(module)["__builtins__"] = builtins
    ours, sys.modules["__main__"] = sys.modules["__main__"], module
    vars(module)["__annotations__"] = {}
    try:
        code: CodeType | None = load(module)
        if code is None:
            end("No code object available for __main__")
        exec(code, vars(module))
    except SystemExit:
        raise
    except BaseException as error:
        _show(error, vars(module))
        raise
    finally:
        del ours  # kept until here, because its functions are running


def _show(error: BaseException, namespace: dict[str, Any]) -> None:
    """Show the traceback from the program's first frame on, and keep Python from showing it."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is not namespace:
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.excepthook(type(error), error, trace)
    sys.excepthook = lambda kind, value, trace: None
