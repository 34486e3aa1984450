"""Values of Python expressions in a configuration file, without running the file.

Constants, names that the file has set, arithmetic, f-strings, os.environ, the number of processors
and a few functions without effects are understood. Everything else raises CannotRead.
"""

from __future__ import annotations

import ast
import operator
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST = 2_000  # characters of a text and items of a list that is computed
BIGGEST = 10**18
PLAIN = re.compile(r"(?:[^%]|%[sdr%])*", re.DOTALL)  # formats without a width
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "str": str, "bool": bool, "min": min, "max": max, "len": len,
    "round": round, "abs": abs, "list": list, "tuple": tuple, "sorted": sorted,
    "os.path.join": os.path.join, "os.path.dirname": os.path.dirname,
    "os.path.abspath": os.path.abspath, "os.path.basename": os.path.basename,
    "os.getcwd": os.getcwd,
}  # fmt: skip
METHODS = ("format", "split", "strip", "lower", "upper", "join", "replace", "startswith",
           "endswith", "removeprefix", "removesuffix", "get")  # fmt: skip
PROCESSORS = ("multiprocessing.cpu_count", "os.cpu_count", "cpu_count", "os.process_cpu_count",
              "psutil.cpu_count")  # fmt: skip


class CannotRead(Exception):
    """The value can only be found by running the code."""


@dataclass(slots=True)
class Reading:
    """The names that are known so far, and what the last value was computed from."""

    environ: Mapping[str, str]
    file: Path
    names: dict[str, tuple[Any, frozenset[str], bool]] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    of_processors: bool = False

    def value(self, node: ast.expr) -> Any:
        """The value of an expression. Raises CannotRead."""
        self.variables, self.of_processors = set(), False
        try:
            return self._bounded(self._of(node))
        except CannotRead:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            raise CannotRead from None
        except RecursionError:
            raise CannotRead from None

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, str | list | tuple | dict) and len(value) > LARGEST:
            raise CannotRead
        if isinstance(value, int | float) and abs(value) > BIGGEST:
            raise CannotRead
        return value

    def _of(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return [self._of(each) for each in node.elts]
        if isinstance(node, ast.Dict):
            if None in node.keys:
                raise CannotRead
            pairs = zip(node.keys, node.values, strict=True)
            return {self._of(key): self._of(value) for key, value in pairs if key}
        if isinstance(node, ast.BinOp):
            return self._computed(node)
        if isinstance(node, ast.UnaryOp):
            value = self._of(node.operand)
            return not value if isinstance(node.op, ast.Not) else self._signed(node.op, value)
        if isinstance(node, ast.BoolOp):
            return self._any_or_all(node)
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.IfExp):
            return self._of(node.body if self._of(node.test) else node.orelse)
        if isinstance(node, ast.JoinedStr):
            return "".join(self._part(each) for each in node.values)
        if isinstance(node, ast.Subscript):
            return self._item(node)
        if isinstance(node, ast.Call):
            return self._called(node)
        raise CannotRead

    def _name(self, name: str) -> Any:
        if name == "__file__":
            return str(self.file)
        if name not in self.names:
            raise CannotRead
        value, variables, of_processors = self.names[name]
        self.variables |= variables
        self.of_processors |= of_processors
        return value

    def _computed(self, node: ast.BinOp) -> Any:
        left, right = self._of(node.left), self._of(node.right)
        if isinstance(node.op, ast.Mult):
            for one, other in ((left, right), (right, left)):
                if hasattr(one, "__len__") and len(one) * int(other) > LARGEST:
                    raise CannotRead
        if isinstance(left, str) and isinstance(node.op, ast.Mod) and not PLAIN.fullmatch(left):
            raise CannotRead
        compute = OPERATORS.get(type(node.op))
        if compute is None:
            raise CannotRead
        return self._bounded(compute(left, right))

    def _signed(self, how: ast.unaryop, value: Any) -> Any:
        if not isinstance(how, ast.USub | ast.UAdd):
            raise CannotRead
        return -value if isinstance(how, ast.USub) else +value

    def _any_or_all(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for each in node.values:
            value = self._of(each)
            if bool(value) is isinstance(node.op, ast.Or):
                return value
        return value

    def _compared(self, node: ast.Compare) -> bool:
        left = self._of(node.left)
        for how, other in zip(node.ops, node.comparators, strict=True):
            right = self._of(other)
            if not COMPARISONS[type(how)](left, right):
                return False
            left = right
        return True

    def _part(self, node: ast.expr) -> str:
        if isinstance(node, ast.FormattedValue):
            if node.format_spec is not None or node.conversion != -1:
                raise CannotRead
            return str(self._of(node.value))
        return str(self._of(node))

    def _item(self, node: ast.Subscript) -> Any:
        if dotted(node.value) in ("os.environ", "environ"):
            return self._variable(self._of(node.slice), None)
        return self._of(node.value)[self._of(node.slice)]

    def _variable(self, name: Any, default: Any) -> Any:
        self.variables.add(str(name))
        value = self.environ.get(str(name), default)
        if value is None:
            raise CannotRead
        return value

    def _called(self, node: ast.Call) -> Any:
        name = dotted(node.func)
        if name in PROCESSORS and not node.args:
            self.of_processors = True
            return os.cpu_count() or 1
        if name == "len" and "sched_getaffinity" in ast.unparse(node):
            self.of_processors = True
            return os.cpu_count() or 1
        if node.keywords and not all(each.arg for each in node.keywords):
            raise CannotRead
        if name in ("os.environ.get", "environ.get", "os.getenv", "getenv"):
            default = [self._of(each) for each in node.args[1:]]
            default += [self._of(each.value) for each in node.keywords]
            return self._variable(self._of(node.args[0]), default[0] if default else "")
        args = [self._of(each) for each in node.args]
        if name in FUNCTIONS and not node.keywords:
            return FUNCTIONS[name](*args)
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            owner = self._of(node.func.value)
            if node.func.attr == "format" and set(owner) & set(":.[!"):
                raise CannotRead
            if isinstance(owner, str | dict):
                options = {str(each.arg): self._of(each.value) for each in node.keywords}
                return getattr(owner, node.func.attr)(*args, **options)
        raise CannotRead


def dotted(node: ast.expr) -> str:
    """A dotted name; "" for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""
