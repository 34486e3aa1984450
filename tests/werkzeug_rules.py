"""Rules of the real Werkzeug, without the function that builds URLs until a URL is built.

Werkzeug compiles two functions for each rule that is added. In tests that compare applications on
Flask with those on Carboy, this took more of the processor than all requests did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compile: Callable[..., Callable[..., Any]] = Rule._compile_builder


def _compile_later(rule: Rule, *how: Any) -> Callable[..., Any]:
    compiled: list[Callable[..., Any]] = []

    def build(*args: Any, **kwargs: Any) -> Any:
        if not compiled:
            compiled.append(_compile(rule, *how))
        return compiled[0](*args, **kwargs)

    return build


def compile_later() -> None:
    """Have rules compile what builds URLs when it is first used."""
    Rule._compile_builder = _compile_later  # type: ignore[assignment]
