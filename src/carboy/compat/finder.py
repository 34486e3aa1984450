"""The finder that answers `import flask` and `import werkzeug` with Carboy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from carboy.compat.alias import Alias
from carboy.compat.origins import ORIGINS, VERSIONS

# What `python -m` does with modules that are programs as well.
PROGRAMS = {
    "flask.__main__": "from carboy.cli.flask import main; main()",
    "werkzeug.testapp": "from carboy.server import run_simple\n"
    "from carboy.testing.environ_page import test_app\n"
    "run_simple('localhost', 5000, test_app, use_reloader=True)",
}


class AliasLoader(Loader):
    """Makes the module; its names come when they are asked for."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs at import, but of `python -m flask`."""

    def get_code(self, name: str) -> Any:
        """For runpy: what `python -m` runs."""
        return compile(PROGRAMS.get(name, ""), f"<{name}>", "exec")

    def is_package(self, name: str) -> bool:
        return ORIGINS[name].package


class Named(Distribution):
    """What importlib.metadata tells of the package whose place Carboy takes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        version = VERSIONS[self._name]
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {version}\n"

    def locate_file(self, path: Any) -> Any:
        return Path(__file__).parent / path


class AliasFinder(DistributionFinder, MetaPathFinder):
    """First in sys.meta_path. A submodule Carboy does not have is not looked for elsewhere."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in VERSIONS:
            return None
        if fullname not in ORIGINS:
            raise ModuleNotFoundError(f"Carboy has no module for {fullname!r}.", name=fullname)
        package = ORIGINS[fullname].package
        spec = ModuleSpec(fullname, AliasLoader(), origin="carboy", is_package=package)
        spec.has_location = False
        return spec

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[Distribution]:
        name = "" if context is None or context.name is None else context.name.lower()
        if name in VERSIONS:
            yield Named(name)
