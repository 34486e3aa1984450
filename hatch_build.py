"""Builds the compiled modules of src/carboy/_speedups, which are optional (docs/speed.md).

    CARBOY_BUILD_SPEEDUPS=1 pip install .    a wheel for this platform
    pip install .                            a wheel for every platform, without them
    python hatch_build.py                    beside their sources, for a checkout (`make speedups`)
    python hatch_build.py --clean            removes them
    python hatch_build.py --copy FOLDER      in a copy of the package in FOLDER (`make fuzz`)

Each `*.pyx` becomes a module of its own. CFLAGS and LDFLAGS are passed to the compiler.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # `make speedups` needs no hatchling
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
FOLDER = ROOT / "src" / "carboy" / "_speedups"
VARIABLE = "CARBOY_BUILD_SPEEDUPS"
NEEDED = ["cython>=3.1", "setuptools>=70"]


def is_asked_for() -> bool:
    """Whether the environment asks for the compiled modules."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


class SpeedupsHook(BuildHookInterface):
    """The build hook of hatchling."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Packages for the build environment."""
        return NEEDED if is_asked_for() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the results into the wheel, which then fits this platform only."""
        if not is_asked_for():
            return
        built = build()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in built:
            build_data["force_include"][str(path)] = f"carboy/_speedups/{path.name}"


def build(root: Path = ROOT) -> list[Path]:
    """Compile every `*.pyx` below `root` in place; returns the files made."""
    try:
        from Cython.Build import cythonize
        from setuptools import Distribution, Extension
        from setuptools.command.build_ext import build_ext
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"The package {error.name} is missing. Use: pip install {' '.join(NEEDED)}"
        ) from None
    before = Path.cwd()
    folder = root / FOLDER.relative_to(ROOT)
    os.chdir(root)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            extensions = cythonize(
                [
                    Extension(
                        f"carboy._speedups.{path.stem}", [str(path.relative_to(root).as_posix())]
                    )
                    for path in sorted(folder.glob("*.pyx"))
                ],
                build_dir=temporary,
                include_path=["src"],
                force=True,
            )
            command = build_ext(
                Distribution({"ext_modules": extensions, "package_dir": {"": "src"}})
            )
            command.inplace = True
            command.force = True
            command.build_temp = temporary
            command.ensure_finalized()
            command.run()
    finally:
        os.chdir(before)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return [path.with_name(path.stem + suffix) for path in sorted(folder.glob("*.pyx"))]


def clean() -> None:
    """Remove compiled modules of every version of Python."""
    for pattern in ("*.so", "*.pyd", "*.c"):
        for path in FOLDER.glob(pattern):
            path.unlink()


def copy(folder: Path) -> Path:
    """A copy of the package without compiled modules; returns its root."""
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", ignore=left_out)
    return folder.resolve()


def main(arguments: list[str]) -> None:
    """Run one of the commands above."""
    if arguments == ["--clean"]:
        clean()
        return
    root = copy(Path(arguments[1])) if arguments[:1] == ["--copy"] else ROOT
    for path in build(root):
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
