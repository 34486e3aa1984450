"""Names of functions in C, as `sys.setprofile` reports them."""

from __future__ import annotations

from _socket import socket as CSocket  # its methods run no code of subclasses
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    MethodDescriptorType,
    ModuleType,
)
from typing import Any

IN_C = (MethodDescriptorType, ClassMethodDescriptorType, BuiltinFunctionType, staticmethod)


def name_of(function: Any) -> str:
    """The qualified name; `socket.send` for a method of any class of sockets."""
    if not issubclass(type(function), BuiltinFunctionType):
        return _class_name(type(function))
    owner = function.__self__
    if owner is None or type(owner) is ModuleType:
        return str(function.__name__)
    if issubclass(type(owner), CSocket):
        return f"{_class_name(CSocket)}.{function.__name__}"
    kind = _defining(owner if isinstance(owner, type) else type(owner), function.__name__)
    return f"{_class_name(kind)}.{function.__name__}"


def module_of(function: Any) -> str:
    """The module that defines the function; for a method, that of the class that defines it."""
    if not issubclass(type(function), BuiltinFunctionType):
        return ""
    owner = function.__self__
    if owner is None or type(owner) is ModuleType:
        return function.__module__ if type(function.__module__) is str else ""
    kind = _defining(owner if isinstance(owner, type) else type(owner), function.__name__)
    module = type.__dict__["__module__"].__get__(kind)
    return module if type(module) is str else ""


def _defining(kind: type, name: str) -> type:
    """The class that has the function; a class in Python may have another one of this name."""
    for each in type.__dict__["__mro__"].__get__(kind):
        found = type.__dict__["__dict__"].__get__(each).get(name)
        if found is not None and type(found) in IN_C:
            return each  # type: ignore[no-any-return]
    return kind


def _class_name(kind: type) -> str:
    return str(type.__dict__["__qualname__"].__get__(kind))
