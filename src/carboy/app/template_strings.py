"""The code of templates that are given as text.

Jinja compiles such a template at each call, which takes far longer than to render it. The code is
kept here for the next call with the same text. It has to be what Jinja would make now, so the text
is compiled again if anything has changed that the compiler reads. Code that depends on more than
that is not kept: Jinja calls a filter while it compiles if the value of the filter is a constant,
and a filter of the application may return another value each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import Any

from jinja2 import Environment, nodes
from jinja2.filters import FILTERS
from jinja2.tests import TESTS
from jinja2.utils import LRUCache

LONGEST = 64 * 1024  # characters; a longer text may have been made for this one call

Table = Mapping[str, Any]  # filters or tests by name

_READ = (
    "block_start_string", "block_end_string", "variable_start_string", "variable_end_string",
    "comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix",
    "trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline", "optimized",
    "undefined", "is_async", "code_generator_class", "finalize",
)  # fmt: skip

_STEPS = (
    "compile", "parse", "_parse", "lex", "_tokenize", "preprocess", "_generate", "_compile",
)  # fmt: skip


class TemplateStrings:
    """The code of up to `limit` templates of an environment. Any thread may call it."""

    def __init__(self, limit: int) -> None:
        self._kept: Any = LRUCache(limit) if limit > 0 else {}
        self._keeps = limit > 0

    def code(self, environment: Environment, source: str) -> CodeType:
        """The code for `source`, as `environment.compile(source)`. Raises TemplateSyntaxError."""
        state = read_by_compiler(environment)
        found: tuple[Any, CodeType] | None = self._kept.get(source)
        if found is not None and found[0] == state:
            return found[1]
        code: CodeType = environment.compile(source)
        if self._keeps and len(source) <= LONGEST and is_stable(environment, source):
            read, *tables = state
            self._kept[source] = (read, *(table.copy() for table in tables)), code
        return code


def read_by_compiler(environment: Environment, template: str | None = None) -> tuple[Any, ...]:
    """Everything that the compiler reads for a template: equal values lead to the same code."""
    escapes = environment.autoescape
    read = [getattr(environment, name) for name in _READ]
    read.append(escapes(template) if callable(escapes) else escapes)
    read.append(getattr(environment, "newstyle_gettext", None))  # of jinja2.ext.i18n
    tables = (environment.filters, environment.tests, environment.policies, environment.extensions)
    return (read, *tables)


def is_stable(environment: Environment, source: str) -> bool:
    """Whether the code depends on nothing but the text and the state of the environment."""
    if any(_is_replaced(environment, name) for name in _STEPS):
        return False
    if environment.finalize is not None or environment.sandboxed:
        return False
    # An extension of another package may look at anything.
    if any(type(each).__module__ != "jinja2.ext" for each in environment.extensions.values()):
        return False
    tree = environment.parse(source)
    tables = ((nodes.Filter, FILTERS, environment.filters), (nodes.Test, TESTS, environment.tests))
    return not any(
        _may_be_called(node, jinjas, theirs)
        for kind, jinjas, theirs in tables
        for node in tree.find_all(kind)
    )


def _is_replaced(environment: Environment, name: str) -> bool:
    """Whether a method of the environment is not Jinja's."""
    ours = getattr(type(environment), name) is getattr(Environment, name)
    return not ours or name in vars(environment)


def _may_be_called(node: Any, jinjas: Table, theirs: Table) -> bool:
    """Whether the compiler may call a function of the application for a filter or a test."""
    known = jinjas.get(node.name)
    # tojson calls what the application has for it.
    if known is not None and theirs.get(node.name) is known and node.name != "tojson":
        return False
    return node.find(nodes.Name) is None  # its value is a constant
