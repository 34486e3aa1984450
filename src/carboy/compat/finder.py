"""The import hook that makes `import flask` and `import werkzeug` import Carboy."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from importlib.resources.abc import TraversableResources
from pathlib import Path
from types import ModuleType
from typing import Any

from carboy.compat.alias import Alias, lacking
from carboy.compat.module_map import MODULE_MAP, VERSIONS

# The code that `python -m` runs for modules that are also programs.
PROGRAMS = {
    "flask.__main__": "from carboy.cli.flask import main; main()",
    "werkzeug.testapp": "from carboy.serving import run_simple\n"
    "from carboy.testing.environ_page import test_app\n"
    "run_simple('localhost', 5000, test_app, use_reloader=True)",
}

# The metadata of the real packages, besides name and version.
ENTRY_POINTS = {"flask": "[console_scripts]\nflask = flask.cli:main\n"}
REQUIRED = {
    "flask": (
        *("blinker>=1.9.0", "click>=8.1.3", "itsdangerous>=2.2.0", "jinja2>=3.1.2"),
        *("markupsafe>=2.1.1", "werkzeug>=3.1.0"),
    ),
    "werkzeug": ("markupsafe>=2.1.1",),
}


def folder(package: str) -> str:
    """The `__path__` of a package. It does not exist, so other finders find nothing there."""
    return str(Path(__file__).with_name("-").joinpath(*package.split(".")))


# path: the package
FOLDERS = {folder(name): name for name, origin in MODULE_MAP.items() if origin.package}


class ModuleResources(TraversableResources):
    """The files beside a module of Carboy, for importlib.resources."""

    def __init__(self, module: str) -> None:
        self._module = module

    def files(self) -> Any:
        return Path(str(importlib.import_module(self._module).__file__)).parent


class AliasPathHook:
    """A path entry finder, which pkgutil asks for the modules of a package."""

    def __init__(self, path: str) -> None:
        if path not in FOLDERS:
            raise ImportError(f"{path!r} is not a package of Flask or Werkzeug.", path=path)
        self._package = FOLDERS[path]

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """None: AliasFinder comes first."""
        return None

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """The names of the modules, and whether each is a package."""
        for name, origin in sorted(MODULE_MAP.items()):
            parent, _, last = name.rpartition(".")
            if parent == self._package:
                yield prefix + last, origin.package


class AliasLoader(Loader):
    """Makes the alias; names are looked up when they are read."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: an alias has no code of its own."""

    def get_code(self, name: str) -> Any:
        """The code that runpy runs for `python -m`."""
        return compile(PROGRAMS.get(name, ""), f"<{name}>", "exec")

    def is_package(self, name: str) -> bool:
        return MODULE_MAP[name].package

    def get_source(self, name: str) -> None:
        """None: an alias has no source."""

    def get_resource_reader(self, name: str) -> TraversableResources:
        return ModuleResources(name)

    def get_data(self, path: str) -> bytes:
        """A file, for pkgutil.get_data. It may be named by a package's `__path__`."""
        named = max((each for each in FOLDERS if path.startswith(each + os.sep)), default="")
        if named:
            files = ModuleResources(FOLDERS[named]).files()
            return files.joinpath(path[len(named) + 1 :]).read_bytes()  # type: ignore[no-any-return]
        return Path(path).read_bytes()


class AliasDistribution(Distribution):
    """The metadata of Flask or Werkzeug, for importlib.metadata."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return self._metadata()
        if filename == "top_level.txt":
            return self._name
        return ENTRY_POINTS.get(self._name) if filename == "entry_points.txt" else None

    def _metadata(self) -> str:
        fields = [
            ("Metadata-Version", "2.1"),
            ("Name", self._name.title()),
            ("Version", VERSIONS[self._name]),
            *(("Requires-Dist", requirement) for requirement in REQUIRED[self._name]),
        ]
        return "".join(f"{name}: {value}\n" for name, value in fields)

    def locate_file(self, path: Any) -> Any:
        return Path(__file__).parent / path


class AliasFinder(DistributionFinder, MetaPathFinder):
    """The first finder in sys.meta_path; no other finder is asked for modules of these packages."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in VERSIONS:
            return None
        if fullname not in MODULE_MAP:
            # importlib.util.find_spec gets None. Other finders do not find the real package,
            # because the path of its parent does not exist.
            caller = sys._getframe(1).f_back
            if caller is None or caller.f_code.co_name != "_find_and_load_unlocked":
                return None
            raise ModuleNotFoundError(
                f"No module named {fullname!r}. {lacking(fullname)}", name=fullname
            )
        package = MODULE_MAP[fullname].package
        spec = ModuleSpec(fullname, AliasLoader(), origin="carboy", is_package=package)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder(fullname))
        spec.has_location = False
        return spec

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[Distribution]:
        wanted = None if context is None else context.name
        for name in VERSIONS:
            if wanted is None or wanted.lower() == name:
                yield AliasDistribution(name)
