"""Errors of the engines.

EngineError            an engine refused an operation or is not usable as configured
  EngineUnavailable    the engine cannot be reached, or did not answer in time
"""

from __future__ import annotations

from carboy.engine_url import missing

__all__ = ["EngineError", "EngineUnavailable", "missing_package"]


class EngineError(Exception):
    """An engine refused an operation or is not usable as configured."""


class EngineUnavailable(EngineError):
    """The engine cannot be reached, or did not answer in time. A later attempt may succeed."""


def missing_package(package: str, extra: str, url: str) -> EngineError:
    """The error of a URL whose client library is not installed."""
    return EngineError(missing(package, extra, url))
