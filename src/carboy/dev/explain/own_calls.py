"""Titles for the calls that the application makes: `Your hello reads request.headers["Host"]`.

Many of the functions that an application calls are unknown to its author: the wrapper of a
decorator, the `__getattribute__` of a proxy. A title has the name that the author wrote.
"""

from __future__ import annotations

import re

from carboy.dev.explain.recording import MODULE, Function, Process, RecordedCall

PROGRAM = "__main__"
LOCALS = ".<locals>."
SELF = re.compile(r"<(?:class )?(\w+)")
LONGEST = 60  # characters of an expression
READS = {"__getattribute__", "__getattr__", "__getitem__", "__get__"}
TESTS = {"__contains__"}
SETS = {"__setattr__", "__setitem__", "__set__"}
REMOVES = {"__delattr__", "__delitem__", "__delete__"}
VERBS = {
    **dict.fromkeys(READS, "reads"),
    **dict.fromkeys(TESTS, "tests"),
    **dict.fromkeys(SETS, "sets"),
    **dict.fromkeys(REMOVES, "removes"),
}
OF_CLASSES = {"__init_subclass__", "__prepare__", "__set_name__"}
VIEWS = {"add_url_rule", "delete", "get", "patch", "post", "put", "route"}
FRAMEWORKS = {"carboy", "flask"}
AN = (*"AEIOaeio", "HT", "Ht", "Un")  # begin names that are spoken with a vowel
WRITTEN = re.compile(r"([\w.]+)\(")


class OwnCalls:
    """Gives titles to calls of one recording."""

    def __init__(self) -> None:
        self._inside: dict[int, dict[int, list[RecordedCall]]] = {}
        self._lines: dict[int, int] = {}  # a caller: its line that made the last call

    def title(self, process: Process, call: RecordedCall, caller: Function) -> str:
        """The title of a call that `caller` makes, or "" for one that shows nothing new."""
        function = process.function_of(call)
        by = module_name(caller) if caller.name == MODULE else short(caller)
        is_same_line = self._lines.get(id(caller)) == call.line
        self._lines[id(caller)] = call.line
        if LOCALS in function.name and is_same_line:
            return ""  # the function that a decorator with arguments returned
        what = self._what(process, call, function)
        return f"Your {by} {what}" if what else ""

    def _what(self, process: Process, call: RecordedCall, function: Function) -> str:
        owner, _, method = function.name.rpartition(".")
        owner = _kind(call) or owner.rpartition(".")[2]
        expression = _cut(call.expression)
        if verb := VERBS.get(method):
            is_test = " in " in expression
            if method in READS and (is_test or (method == "__get__" and not expression)):
                return ""  # `__contains__` follows; or nothing says what is read
            return f"{verb} {expression or f'a part of {_article(owner)} {owner}'}"
        if method == "__init__":
            return f"makes {_article(owner)} {owner} object"
        if method in OF_CLASSES:
            return ""
        if method.startswith("__") and expression:
            return f"evaluates {expression}"
        name = self._known_name(process, call, function)
        is_view = name.rpartition(".")[2] in VIEWS and "." in name
        if is_view and function.place.package in FRAMEWORKS:
            return f"registers a view with {name}"
        return f"calls {name}"

    def _known_name(self, process: Process, call: RecordedCall, function: Function) -> str:
        """The name of a function with the class of its object; of a wrapper, what it wraps."""
        if LOCALS in function.name:
            wrapped = self._wrapped(process, call, function)
            if wrapped is None:
                return function.name.partition(LOCALS)[0]
            call, function = wrapped, process.function_of(wrapped)
        written = WRITTEN.match(call.expression)
        if function.name.startswith("_") and written:
            return written[1]  # `path` of Django is a partial of `_path`
        _, dot, method = function.name.rpartition(".")
        kind = _kind(call)
        return f"{kind}.{method}" if dot and kind else function.name

    def _wrapped(
        self, process: Process, call: RecordedCall, function: Function
    ) -> RecordedCall | None:
        """The last call that a wrapper makes into its own package."""
        for each in reversed(self._calls_in(process, call)):
            inner = process.function_of(each)
            is_public = not inner.name.rpartition(".")[2].startswith("_")
            is_plain = LOCALS not in inner.name and inner.place.first > 0
            if is_public and is_plain and inner.place.package == function.place.package:
                return each
        return None

    def _calls_in(self, process: Process, call: RecordedCall) -> list[RecordedCall]:
        known = self._inside.get(id(process))
        if known is None:
            known = self._inside[id(process)] = {}
            for each in process.calls:
                if each.above >= 0:
                    known.setdefault(id(process.calls[each.above]), []).append(each)
        return known.get(id(call), [])


def module_name(function: Function) -> str:
    """The name of the module whose code runs; a file that is run is a program."""
    is_program = function.module == PROGRAM
    return f"program {function.place.short}" if is_program else f"module {function.module}"


def short(function: Function) -> str:
    """The qualified name of a function without the functions around it."""
    return function.name.rpartition("<locals>.")[2]


def _kind(call: RecordedCall) -> str:
    """The class of the object whose method is called, or ""."""
    given = dict(call.args[:1])
    found = SELF.match(given.get("self", given.get("cls", "")))
    return found[1] if found else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _article(name: str) -> str:
    return "an" if name.startswith(AN) else "a"
