"""Values as HTML, for the console and the frames of the debugger.

The CSS classes are Werkzeug's, so that style sheets and tests for its pages still work.
"""

from __future__ import annotations

import codecs
import html
import pydoc
import re
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from traceback import format_exception_only
from types import FunctionType
from typing import Any

from markupsafe import escape

__all__ = ["DebugReprGenerator", "debug_repr", "dump", "helper"]

TEXT_LIMIT = 70  # characters of a text that are shown; the rest is folded
ITEM_LIMIT = 8  # items of a sequence
PAIR_LIMIT = 5  # items of a dict
OBJECT_LIMIT = 1000  # characters of the repr of an object
# Limits that keep the page small, including its folded parts; the rest is counted, or replaced by
# "…".
TEXT_MOST = 10_000  # characters of a text
ITEMS_MOST = 200  # items of a container
SPACE = 30_000  # characters of HTML for one value with everything inside it
DEEP = 20  # levels of nested containers
REST = '<span class="help">…</span>'
missing = object()


def encodable(text: str) -> str:
    """Text without surrogates, which cannot be sent: they are replaced by escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


OBJECT_DUMP_HTML = """\
<div class=box>
  <h3>%(title)s</h3>
  <pre class=repr>%(repr)s</pre>
  <table>%(items)s</table>
</div>"""
HELP_HTML = """\
<div class=box>
  <h3>%(title)s</h3>
  <pre class=help>%(text)s</pre>
</div>"""


def debug_repr(obj: object) -> str:
    """`repr(obj)` as HTML of limited size, with long values folded. Never raises."""
    return DebugReprGenerator().repr(obj)


def dump(obj: object = missing) -> None:
    """Show the attributes of an object, the items of a dict, or without an object the locals."""
    generator = DebugReprGenerator()
    if obj is missing:
        shown = generator.dump_locals(sys._getframe(1).f_locals)
    else:
        shown = generator.dump_object(obj)
    sys.stdout._write(shown)  # type: ignore[union-attr]  # the console's stream, which accepts HTML


class _Helper:
    """`help` in the console: the output of pydoc in a box."""

    def __repr__(self) -> str:
        return "Type help(object) for help about object."

    def __call__(self, topic: Any = None) -> None:
        out: Any = sys.stdout
        if topic is None:
            out._write(f"<span class=help>{self!r}</span>")
            return
        pydoc.help(topic)
        # The output of pydoc is HTML already, because the console's stream escapes it.
        text = out.reset()
        title, _, rest = text.partition("\n\n")
        if not rest.strip():
            title, rest = "Help", text
        out._write(HELP_HTML % {"title": title.strip(), "text": rest})


helper = _Helper()


class DebugReprGenerator:
    """Makes the HTML of one value, even of a value that contains itself."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._space = SPACE  # characters that are left

    # --- values

    def repr(self, obj: object) -> str:
        """The HTML of `obj`, or of the exception that its repr raised."""
        if not self._stack:
            self._space = SPACE
        elif self._space <= 0 or len(self._stack) > DEEP:
            return REST
        recursive = any(obj is above for above in self._stack)
        self._stack.append(obj)
        before = self._space
        try:
            shown = self.dispatch_repr(obj, recursive)
        except KeyboardInterrupt:
            raise  # stops the console
        except BaseException:
            shown = self.fallback_repr()
        finally:
            self._stack.pop()
        self._space = before - len(shown)
        return shown

    def dispatch_repr(self, obj: object, recursive: bool) -> str:
        """The HTML of `obj`, depending on its type."""
        if obj is helper:
            return f'<span class="help">{helper!r}</span>'
        if isinstance(obj, int | float | complex):
            return f'<span class="number">{escape(repr(obj))}</span>'
        if isinstance(obj, str | bytes):
            return self.string_repr(obj)
        if isinstance(obj, re.Pattern):
            return self.regex_repr(obj)
        for kind, method in self._containers():
            if isinstance(obj, kind):
                return method(obj, recursive)
        return self.object_repr(obj)

    def _containers(self) -> Iterator[tuple[type, Callable[[Any, bool], str]]]:
        yield list, self.list_repr
        yield tuple, self.tuple_repr
        yield set, self.set_repr
        yield frozenset, self.frozenset_repr
        yield dict, self.dict_repr
        yield deque, self.deque_repr

    def list_repr(self, obj: list[Any], recursive: bool = False) -> str:
        """A list."""
        return self._sequence("[", "]", list, obj, recursive)

    def tuple_repr(self, obj: tuple[Any, ...], recursive: bool = False) -> str:
        """A tuple."""
        return self._sequence("(", ")", tuple, obj, recursive)

    def set_repr(self, obj: set[Any], recursive: bool = False) -> str:
        """A set."""
        return self._sequence("set([", "])", set, obj, recursive)

    def frozenset_repr(self, obj: frozenset[Any], recursive: bool = False) -> str:
        """A frozenset."""
        return self._sequence("frozenset([", "])", frozenset, obj, recursive)

    def deque_repr(self, obj: deque[Any], recursive: bool = False) -> str:
        """A deque."""
        left = '<span class="module">collections.</span>deque(['
        return self._sequence(left, "])", deque, obj, recursive)

    def _sequence(
        self, left: str, right: str, base: type, obj: Collection[Any], recursive: bool
    ) -> str:
        if recursive:
            return _subclassed(f"{left}...{right}", obj, base)
        parts = [*self._parts(obj, self.repr)]
        return _subclassed(left + _folded(parts, ITEM_LIMIT) + right, obj, base)

    def dict_repr(self, d: dict[Any, Any], recursive: bool, limit: int = PAIR_LIMIT) -> str:
        """A dict."""
        if recursive:
            return _subclassed("{...}", d, dict)
        parts = [*self._parts(d.items(), self._pair)]
        return _subclassed("{" + _folded(parts, limit - 1) + "}", d, dict)

    def _pair(self, pair: tuple[Any, Any]) -> str:
        key, value = pair
        return (
            f'<span class="pair"><span class="key">{self.repr(key)}</span>: '
            f'<span class="value">{self.repr(value)}</span></span>'
        )

    def _parts(self, items: Collection[Any], show: Callable[[Any], str]) -> Iterator[str]:
        """The items that fit into the space, then the number of the others."""
        count = 0
        for item in islice(items, ITEMS_MOST):
            if self._space <= 0:
                break
            yield show(item)
            count += 1
        if count < len(items):
            yield f'<span class="help">… {len(items) - count:,} more</span>'

    def string_repr(self, obj: str | bytes, limit: int = TEXT_LIMIT) -> str:
        """Text or bytes; the end of a long value is folded."""
        text = repr(obj[:TEXT_MOST])
        shown = f"{escape(text)}"
        if len(text) - limit > 2:
            folded = f'<span class="extended">{escape(text[limit:])}</span>'
            shown = f"{escape(text[:limit])}{folded}"
        if len(obj) > TEXT_MOST:
            shown += f'<span class="help">… {len(obj) - TEXT_MOST:,} more</span>'
        base = str if isinstance(obj, str) else bytes
        return _subclassed(f'<span class="string">{shown}</span>', obj, base)

    def regex_repr(self, obj: re.Pattern[Any]) -> str:
        """A compiled pattern, as in source code."""
        pattern = codecs.decode(repr(obj.pattern), "unicode-escape", "ignore")
        prefix = "r"
        if pattern[:1] == "b":
            prefix, pattern = "rb", pattern[1:]
        shown = html.escape(pattern, quote=False)
        return f're.compile(<span class="string regex">{prefix}{shown}</span>)'

    def object_repr(self, obj: object) -> str:
        """Anything else."""
        text = repr(obj)
        shown, more = escape(text[:OBJECT_LIMIT]), escape(text[OBJECT_LIMIT:TEXT_MOST])
        folded = f'<span class="extended">{more}</span>' if more else ""
        rest = REST if len(text) > TEXT_MOST else ""
        return f'<span class="object">{shown}{folded}</span>{rest}'

    def fallback_repr(self) -> str:
        """The HTML of a value whose repr raises."""
        error = sys.exc_info()
        told = "".join(format_exception_only(error[0], error[1])).strip()
        return f'<span class="brokenrepr">&lt;broken repr ({escape(told)})&gt;</span>'

    # --- objects with their attributes

    def dump_object(self, obj: object) -> str:
        """A box with the items of a dict whose keys are strings, or the attributes of an object."""
        shown = ""
        items: list[tuple[str, str]] = []
        name = object.__repr__(obj)[1:-1]
        if isinstance(obj, dict) and all(isinstance(key, str) for key in obj):
            items = [(key, self.repr(value)) for key, value in obj.items()]
            return self.render_object_dump(items, f"Contents of {name}")
        shown = self.repr(obj)
        for key in dir(obj):
            try:
                items.append((key, self.repr(getattr(obj, key))))
            except Exception:
                continue  # the attribute cannot be read
        return self.render_object_dump(items, f"Details for {name}", shown)

    def dump_locals(self, d: dict[str, Any]) -> str:
        """A box with local variables."""
        items = [(key, self.repr(value)) for key, value in d.items()]
        return self.render_object_dump(items, "Local variables in frame")

    def render_object_dump(
        self, items: list[tuple[str, str]], title: str, repr: str | None = None
    ) -> str:
        """A box with names and the HTML of their values."""
        rows = [f"<tr><th>{escape(key)}<td><pre class=repr>{value}</pre>" for key, value in items]
        return OBJECT_DUMP_HTML % {
            "title": escape(title),
            "repr": repr or "",
            "items": "\n".join(rows) if rows else "<tr><td><em>Nothing</em>",
        }


def _folded(parts: list[str], limit: int) -> str:
    if len(parts) <= limit:
        return ", ".join(parts)
    rest = f'<span class="extended">{", ".join(parts[limit:])}</span>'
    return ", ".join([*parts[:limit], rest])


def _subclassed(inner: str, obj: object, base: type) -> str:
    """`inner` as a call of the class, if the object is of a subclass of `base`."""
    kind = type(obj)
    if kind is base or isinstance(obj, FunctionType):
        return inner
    module = ""
    if kind.__module__ not in ("builtins", "exceptions"):
        module = f'<span class="module">{escape(kind.__module__)}.</span>'
    return f"{module}{escape(kind.__name__)}({inner})"
