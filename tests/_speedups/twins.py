"""Compiled modules for tests, which are skipped where none is built."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import pytest


def compiled(name: str) -> Any:
    """The compiled module. Where CARBOY_BUILD_SPEEDUPS is set, it has to be there."""
    try:
        return import_module(f"carboy._speedups.{name}")
    except ModuleNotFoundError:
        if os.environ.get("CARBOY_BUILD_SPEEDUPS"):
            raise
        pytest.skip("The compiled modules are not built (make speedups).", allow_module_level=True)
