"""Completion of the input of a console: names, attributes, and keys of mappings.

The expression before the cursor is evaluated as far as it consists of names, attributes and
constant keys. The attributes that are proposed are not read, because reading may take long, raise
or change something.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any

MOST = 500  # names that are proposed
KEYS = 5000  # keys that are compared
LONGEST = 2000  # characters before the cursor that are looked at

_NAME = r"[^\W\d]\w*+"
_TEXT = r"'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\""
_STEP = rf"\.{_NAME}|\[(?:-?\d++|{_TEXT})\]"
# What is before the last dot or bracket, and what is typed after it.
PATH = re.compile(
    rf"(?<![\w.\])}}])(?P<first>{_NAME}|{_TEXT})(?P<steps>(?:{_STEP})*)"
    rf"(?:\.(?P<attribute>\w*)|\[(?P<key>['\"][^'\"\n]*|-?\d*))\Z"
)
WORD = re.compile(rf"(?<![\w.\])}}'\"])(?P<name>{_NAME})\Z")
STEP = re.compile(_STEP)
IMPORT = re.compile(r"\s*(?:from|import)\s+(?:\w+\s*,\s*)*(?P<module>\w*)\Z")
FROM = re.compile(r"\s*from\s+(?P<module>[\w.]+)\s+import\s+(?:\w+\s*,\s*)*(?P<name>\w*)\Z")
METHODS = (
    FunctionType, BuiltinFunctionType, MethodType, MethodDescriptorType, WrapperDescriptorType,
    ClassMethodDescriptorType,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Completion:
    """The part of the input that was typed of a name or key, and what it may become."""

    typed: str = ""
    found: tuple[str, ...] = ()


def completion(text: str, names: dict[str, Any]) -> Completion:
    """Names and keys that complete `text` in a console. Objects may raise any exception."""
    text = text[-LONGEST:].rpartition("\n")[2]
    if wanted := IMPORT.match(text):
        known = {*sys.stdlib_module_names, *(name.partition(".")[0] for name in sys.modules)}
        return _sorted(wanted["module"], _beginning(wanted["module"], known))
    if wanted := FROM.match(text):
        module = sys.modules.get(wanted["module"])
        return _sorted(wanted["name"], _beginning(wanted["name"], dir(module) if module else ()))
    if path := PATH.search(text):
        value = _value(path["first"], path["steps"], names)
        if path["key"] is not None:
            return _sorted(path["key"], _keys(path["key"], value))
        return _sorted(path["attribute"], _attributes(path["attribute"], value))
    if word := WORD.search(text):
        return _sorted(word["name"], _names(word["name"], names))
    return Completion()


def _sorted(typed: str, found: Iterable[str]) -> Completion:
    return Completion(typed, tuple(sorted(set(islice(found, MOST)))))


def _value(first: str, steps: str, names: dict[str, Any]) -> Any:
    if first[0] in "'\"":
        value = ast.literal_eval(first)
    else:
        value = names[first] if first in names else getattr(builtins, first)
    for step in STEP.findall(steps):
        value = getattr(value, step[1:]) if step[0] == "." else value[ast.literal_eval(step[1:-1])]
    return _behind(value)


def _behind(value: Any) -> Any:
    """The object that a proxy such as `request` stands for."""
    current = inspect.getattr_static(value, "_get_current_object", None)
    return value._get_current_object() if current is not None else value


def _beginning(typed: str, names: Iterable[str]) -> Iterator[str]:
    """The names that begin like this. Private ones only if that is what was typed."""
    for name in names:
        if name.startswith(typed) and (typed.startswith("_") or not name.startswith("_")):
            yield name


def _names(typed: str, names: dict[str, Any]) -> Iterator[str]:
    for word in (*keyword.kwlist, *keyword.softkwlist):
        if word.startswith(typed) and word != "_":
            yield word
    for known in (names, vars(builtins)):
        for name, value in list(known.items()):
            if name.startswith(typed):
                yield name + _call(value, bound=True)


def _attributes(typed: str, value: Any) -> Iterator[str]:
    try:
        found = dir(value)
    except Exception:
        found = [*vars(value), *dir(type(value))]
    for name in _beginning(typed, found):
        own = inspect.getattr_static(value, name, None)
        yield name + _call(own, bound=not isinstance(own, FunctionType) or _is_own(value, name))


def _is_own(value: Any, name: str) -> bool:
    """Whether an attribute is the object's own or that of a class: not bound when it is read."""
    return isinstance(value, type) or name in getattr(value, "__dict__", {})


def _call(value: Any, bound: bool) -> str:
    """The brackets after the name of something that is called."""
    if isinstance(value, staticmethod | classmethod):
        bound, value = isinstance(value, staticmethod), value.__func__
    if not isinstance(value, (*METHODS, type)):
        return ""
    try:
        parameters = list(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return "("
    descriptors = MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType
    own = not bound or isinstance(value, descriptors)
    return "(" if parameters[own:] else "()"


def _keys(typed: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping) and not (hasattr(value, "keys") and hasattr(value, "get")):
        return
    keys: Callable[[], Iterable[Any]] = value.keys
    quote = typed[:1] if typed[:1] in ("'", '"') else ""
    for key in islice(list(keys()), KEYS):
        if isinstance(key, str):
            shown = repr(key)
            if quote and quote not in key and "\\" not in shown:
                shown = f"{quote}{key}{quote}"
        elif type(key) is int and not quote:
            shown = str(key)
        else:
            continue
        if shown.startswith(typed):
            yield f"{shown}]"
