"""Names of functions in C, as `sys.setprofile` reports them."""

from __future__ import annotations

from _socket import socket as CSocket  # its methods run no code of subclasses
from types import BuiltinFunctionType, ModuleType
from typing import Any


def name_of(function: Any) -> str:
    """The qualified name; `socket.send` for a method of any class of sockets."""
    if not issubclass(type(function), BuiltinFunctionType):
        return _class_name(type(function))
    owner = function.__self__
    if owner is None or type(owner) is ModuleType:
        return str(function.__name__)
    if isinstance(owner, type):
        return f"{_class_name(owner)}.{function.__name__}"
    kind = CSocket if issubclass(type(owner), CSocket) else type(owner)
    return f"{_class_name(kind)}.{function.__name__}"


def module_of(function: Any) -> str:
    """The module that defines the function; for a method, that of the class that defines it."""
    if not issubclass(type(function), BuiltinFunctionType):
        return ""
    owner = function.__self__
    if owner is None or type(owner) is ModuleType:
        return function.__module__ if type(function.__module__) is str else ""
    return _module(owner if isinstance(owner, type) else type(owner), function.__name__)


def _module(kind: type, name: str) -> str:
    for each in type.__dict__["__mro__"].__get__(kind):
        if name in type.__dict__["__dict__"].__get__(each):
            module = type.__dict__["__module__"].__get__(each)
            return module if type(module) is str else ""
    return ""


def _class_name(kind: type) -> str:
    return str(type.__dict__["__qualname__"].__get__(kind))
