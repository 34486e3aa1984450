"""Python runs this when a process starts that has this folder on PYTHONPATH.

It also runs the sitecustomize module that Python would have run without this one.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100,PTH120 — importing pathlib takes time


def run_the_next() -> None:
    """The sitecustomize of the environment or of the distribution."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    import carboy_names  # type: ignore[import-not-found]

    sys.path[:] = [entry for entry in sys.path if entry != HERE]
    carboy_names.start()
    run_the_next()
