"""Hints about templates that are not found, and about names, filters and tests in templates."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from carboy.dev.hints.near import did_you_mean, near, question

UNKNOWN = re.compile(r"No (filter|test) named '([^']+)'")
# Jinja gives the frames of templates this global name, and their variables as locals.
IN_TEMPLATE = "__jinja_exception__"
FAILS = "_fail_with_undefined_error"  # a method of Jinja's Undefined
MISSING = re.compile(r"'([^']+)' is undefined")


def not_found(error: Any) -> Iterator[str]:
    """Similar templates, and the folders that were searched."""
    environment = _environment(error)
    if environment is None or environment.loader is None:
        return
    folders = list(dict.fromkeys(_folders(environment.loader)))
    try:
        known = environment.list_templates()
    except TypeError:  # a loader that cannot list its templates
        known = []
    names = getattr(error, "templates", None) or [error.name]
    if found := list(dict.fromkeys(each for name in names for each in _similar(str(name), known))):
        yield question(found[:3])
    if folders:
        yield f"Folders searched: {', '.join(folders)}"


def _similar(missing: str, known: Iterable[str]) -> list[str]:
    """Templates of the same name elsewhere, else those with a similar path or name."""
    known = list(known)
    wanted = PurePosixPath(missing.replace("\\", "/"))
    same = [
        each
        for each in known
        if wanted.name.lower() in (PurePosixPath(each).name.lower(), PurePosixPath(each).stem)
    ]
    if same:
        return sorted(same, key=lambda each: (not each.endswith(missing), len(each)))[:3]
    # Without the extension, because all templates of one kind would be similar.
    stems: dict[str, list[str]] = {}
    for each in known:
        path = PurePosixPath(each)
        if path.suffix == wanted.suffix or not wanted.suffix:
            stems.setdefault(str(path.with_suffix("")), []).append(each)
    by_name = {PurePosixPath(stem).name: stem for stem in stems}
    found = near(str(wanted.with_suffix("")), stems)
    found = found or [by_name[each] for each in near(wanted.stem, by_name)]
    return [each for stem in found for each in stems[stem]]


def _environment(error: BaseException) -> Any:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        own = frame.f_locals.get("self")
        for each in (own, getattr(own, "environment", None)):
            if all(hasattr(each, name) for name in ("list_templates", "loader", "get_template")):
                return each
    return None


def _folders(loader: Any) -> Iterator[str]:
    """The folders that a loader of Jinja searches."""
    yield from map(str, getattr(loader, "searchpath", ()))
    if isinstance(root := getattr(loader, "_template_root", None), str):
        yield root
    inner = [*getattr(loader, "loaders", ()), *getattr(loader, "mapping", {}).values()]
    if app := getattr(loader, "app", None):
        inner += [each.jinja_loader for each in (app, *app.iter_blueprints())]
    for each in filter(None, inner):
        yield from _folders(each)


def unknown_filter(error: Any) -> Iterator[str]:
    """Similar filters or tests."""
    found, environment = UNKNOWN.search(str(error)), _environment(error)
    if found and environment is not None:
        yield from did_you_mean(found[2], getattr(environment, f"{found[1]}s"))


def undefined(error: Any) -> Iterator[str]:
    """Similar variables of the template, or attributes and keys of the object."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [index for index, frame in enumerate(frames) if IN_TEMPLATE in frame.f_globals]
    if not inside:
        return
    if found := MISSING.fullmatch(str(error)):
        yield from did_you_mean(found[1], sorted(frames[inside[-1]].f_locals))
        return
    values = (value for frame in frames[inside[-1] + 1 :] for value in frame.f_locals.values())
    failed: Any = next(each for each in values if hasattr(type(each), FAILS))
    owner, missing = failed._undefined_obj, failed._undefined_name
    keys = list(owner) if isinstance(owner, Mapping) else []
    yield from did_you_mean(missing, keys or [n for n in dir(owner) if not n.startswith("_")])
