"""Hints about an exception for the developer: similar names, and the folders that were searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from carboy.dev.hints import imports, keys, names, templates

__all__ = ["hints"]


def hints(error: BaseException) -> list[str]:
    """Sentences that may help to correct an error; [] if there are none."""
    for kind, about in ABOUT.items():
        if any(each.__name__ == kind for each in type(error).__mro__):
            try:
                return list(about(error))
            except Exception:  # raised by the application's own objects
                return []
    return []


# class of the exception, by name because not all of them are installed: its hints
ABOUT: dict[str, Callable[[Any], Iterator[str]]] = {
    "TemplateNotFound": templates.not_found,
    "TemplateAssertionError": templates.unknown_filter,
    "UndefinedError": templates.undefined,
    "BuildError": names.endpoint,
    "NameError": names.name,
    "AttributeError": names.attribute,
    "KeyError": keys.key,
    "ImportError": imports.imported,
}
