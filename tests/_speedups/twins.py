"""Compiled modules for tests, which are skipped where none is built."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import pytest


def optional(name: str) -> Any:
    """The compiled module, or None. Where CARBOY_BUILD_SPEEDUPS is set, it has to be there."""
    try:
        return import_module(f"carboy._speedups.{name}")
    except ModuleNotFoundError:
        if os.environ.get("CARBOY_BUILD_SPEEDUPS"):
            raise
        return None


def compiled(name: str) -> Any:
    """The compiled module; the module of tests that calls this is skipped if none is built."""
    found = optional(name)
    if found is None:
        pytest.skip("The compiled modules are not built (make speedups).", allow_module_level=True)
    return found
