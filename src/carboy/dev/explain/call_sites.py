"""The places in a function that call compiled code which Python's profiler does not report.

It reports functions in C only if they have Python's own type, which functions compiled with Cython
do not have, and it does not report classes. Such a function or class is recognised where a global
variable, or an attribute of a module or a class, is called. The bytecode says at which instruction.
"""

from __future__ import annotations

import dis
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from types import CodeType, ModuleType
from typing import Any

CYTHON = ("cython_function_or_method", "fused_cython_function")
Sites = dict[int, tuple[str, str]]  # offset of the instruction: name and module of the function
UNKNOWN = object()
HAS_PRECALL = "PRECALL" in dis.opmap  # in Python 3.11, where it takes the arguments from the stack
# Instructions that leave the values that are on the stack as they are.
KEEPS = {"RESUME", "NOP", "CACHE", "KW_NAMES", "PUSH_NULL", "POP_TOP", "EXTENDED_ARG"}
ENDS = {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"}


def sites_of(code: CodeType, names: dict[str, Any]) -> Sites:
    """The calls of compiled code in a function with these global variables."""
    known = {name: names[name] for name in code.co_names if name in names}
    if not any(_may_lead(value) for value in known.values()):
        return {}
    found: Sites = {}
    stack: list[Any] = []
    later: dict[int, list[Any]] = {}  # the stack at the target of a jump
    reached = True
    callee: Any = UNKNOWN
    for each in dis.get_instructions(code):
        if each.offset in later:
            arrived = later.pop(each.offset)
            stack = _merged(stack, arrived) if reached else arrived
            reached = True
        if each.opname == "PRECALL" or (each.opname == "CALL" and not HAS_PRECALL):
            callee = _callee(stack, each.arg or 0)
        if each.opname == "CALL" and (described := _compiled(callee)):
            found[each.offset] = described
        _step(stack, each, known)
        if each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
            later.setdefault(each.argval, list(stack))
            reached = "IF" in each.opname or each.opname in ("FOR_ITER", "SEND")
        elif each.opname in ENDS:
            reached = False
    return found


def _step(stack: list[Any], each: dis.Instruction, known: dict[str, Any]) -> None:
    """Change the stack as the instruction does."""
    name = each.opname
    if name in ("LOAD_GLOBAL", "LOAD_NAME"):
        if name == "LOAD_GLOBAL" and each.arg is not None and each.arg & 1:
            stack.append(UNKNOWN)
        stack.append(known.get(each.argval, UNKNOWN))
        return
    if name in ("LOAD_ATTR", "LOAD_METHOD"):
        owner = stack.pop() if stack else UNKNOWN
        effect = dis.stack_effect(each.opcode, each.arg)
        stack += [UNKNOWN] * effect
        stack.append(_attribute(owner, each.argval))
        return
    effect = dis.stack_effect(each.opcode, each.arg, jump=False)
    if effect < 0:
        del stack[effect:]
    stack += [UNKNOWN] * effect
    if name not in KEEPS and not name.startswith(("STORE_", "POP_JUMP")) and effect <= 0 and stack:
        stack[-1] = UNKNOWN


def _merged(one: list[Any], other: list[Any]) -> list[Any]:
    return [a if a is b else UNKNOWN for a, b in zip(one, other, strict=False)]


def _callee(stack: list[Any], count: int) -> Any:
    """The function that is called with so many arguments: Python 3.13 has it one place lower."""
    for place in (count + 1, count + 2):
        if len(stack) >= place and stack[-place] is not UNKNOWN:
            return stack[-place]
    return UNKNOWN


def _attribute(owner: Any, name: str) -> Any:
    """The attribute of a module or of a class, without running code of them."""
    if type(owner) is ModuleType:
        return owner.__dict__.get(name, UNKNOWN)
    if type(owner) is type:
        return next(
            (each.__dict__[name] for each in owner.__mro__ if name in each.__dict__), UNKNOWN
        )
    return UNKNOWN


def _may_lead(value: Any) -> bool:
    return type(value) in (ModuleType, type) or bool(_compiled(value))


def _compiled(value: Any) -> tuple[str, str] | None:
    """Name and module of a function or class that the profiler does not report."""
    if type(value) is type:
        return (value.__qualname__, value.__module__) if _is_extension(value.__module__) else None
    if type(value).__name__ in CYTHON:
        module = value.__module__
        return (str(value.__qualname__), str(module)) if type(module) is str else None
    return None


def _is_extension(name: str) -> bool:
    if name.partition(".")[0] in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return type(file) is str and file.endswith(tuple(EXTENSION_SUFFIXES))
