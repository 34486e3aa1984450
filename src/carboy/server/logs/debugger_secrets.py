"""Removes the PIN and the secret of a debugger's page from request lines.

Carboy posts them in the body. The page of Werkzeug, which may run on this server too, has them in
its URLs.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

HINT = "debugger"  # without it, a text is not looked at
PAGE = "__debugger__"  # the parameter of all requests of the page
SECRET = frozenset({"pin", "s", "cmd"})
COMMANDS = frozenset({"resource", "pinauth", "printpin"})  # other commands are code
PARAMETER = re.compile(r"(?P<before>^|[?&;])(?P<name>[^=&;?\s]*)=(?P<value>[^&;\s]*)")


def without_secrets(text: str) -> str:
    """A request line, target, query or URL with asterisks instead of what opens a console."""
    if HINT not in text:
        return text
    names = {unquote(each["name"]) for each in PARAMETER.finditer(text)}
    return PARAMETER.sub(_masked, text) if PAGE in names else text


def _masked(match: re.Match[str]) -> str:
    name = unquote(match["name"])
    if name not in SECRET or (name == "cmd" and match["value"] in COMMANDS):
        return match[0]
    return f"{match['before']}{match['name']}=***"
