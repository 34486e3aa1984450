"""The framework, which is loaded before the workers are forked if the application imports it.

Workers then share its memory, 2 MB for each of them, and load only the application themselves. No
code of the application runs here: its files are searched for imports.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import carboy
from carboy.cli import locate
from carboy.late import compiled_later

MOST = 100  # files that are read at most
NAMES = frozenset(("carboy",))
FLASK = frozenset(("flask", "werkzeug"))  # names of Carboy with --flask
IMPORT = compiled_later(
    rb"^[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+)?import[ \t]+\(?\s*([\w.,* \t]+)", re.MULTILINE
)


def load_framework(applications: Iterable[str], folder: Path, as_flask: bool) -> None:
    """Load the framework if a module of these applications imports Carboy.

    `as_flask`: also if it imports `flask` or `werkzeug`, which are names of Carboy here. If the
    import is not found, each worker loads the framework itself.
    """
    names = NAMES | FLASK if as_flask else NAMES
    if any(imports_one_of(names, each, folder) for each in applications if each):
        from carboy.app import lane, request_modules  # noqa: F401

        request_modules.load(signing=False)
        for each in ("Flask", "request"):
            getattr(carboy, each)


def load_request_modules(application: Any) -> None:
    """Load what requests may need, if the framework is inside another callable.

    A server asks an application of Carboy itself (`direct_lane`).
    """
    if "carboy.app.app" in sys.modules and not hasattr(application, "direct_lane"):
        from carboy.app import request_modules

        request_modules.load(signing=True)


def imports_one_of(names: frozenset[str], application: str, folder: Path) -> bool:
    """Whether the module of an application imports one of these packages, itself or by others.

    The others are modules in the folder that its own module or package is in.
    """
    module = locate.parse(application).module
    path = folder / module
    if path.suffix == ".py" or "/" in module:
        root, module = locate.module_of_file(path)
    else:
        root = _folder_of(module, folder)
    waiting, seen, read = [module], set[str](), 0
    while waiting:
        module = waiting.pop(0)
        if module.partition(".")[0] in names:
            return True
        if module in seen or read == MOST:
            continue
        seen.add(module)
        file = _file(root, module)
        if file is not None:
            read += 1
            waiting += imports(file, module)
    return False


def imports(file: Path, module: str) -> Iterator[str]:
    """The modules that the file of `module` may import, and the packages that it is in."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    if package:
        yield package
    try:
        source = file.read_bytes()
    except OSError:
        return
    for found in IMPORT.finditer(source):
        origin, names = ((each or b"").decode(errors="replace") for each in found.groups())
        path = origin.lstrip(".")
        if dots := len(origin) - len(path):
            above = package.split(".")[: len(package.split(".")) - dots + 1]
            path = ".".join([*above, *([path] if path else [])])
        if path:
            yield path
        for each in names.split(","):
            if words := each.split():
                yield f"{path}.{words[0]}" if path else words[0]


def _folder_of(module: str, folder: Path) -> Path:
    """The first folder of the import path that has the top-level module; else `folder`."""
    top = module.partition(".")[0]
    found = (Path(each) for each in sys.path if each and _file(Path(each), top))
    return folder if _file(folder, top) else next(found, folder)


def _file(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split("."))
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None
