"""Access lines contain neither the PIN nor the secret of a debugger's page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from carboy.protocol.events import RequestHead
from carboy.server.logs.debugger_secrets import without_secrets
from carboy.server.logs.facts import Record
from carboy.server.logs.formats import Common, Json, Pretty
from carboy.serving.log import line_of

TARGETS = {
    "/?__debugger__=yes&cmd=pinauth&pin=PIN&s=KEY": "/?__debugger__=yes&cmd=pinauth&pin=***&s=***",
    "/?pin=PIN&__debugger__=yes&s=KEY&frm=1": "/?pin=***&__debugger__=yes&s=***&frm=1",
    "/?__debugger__=yes&cmd=CODE&frm=3&s=KEY": "/?__debugger__=yes&cmd=***&frm=3&s=***",
    "/?%5F_debugger%5F_=yes&p%69n=PIN&%73=KEY": "/?%5F_debugger%5F_=yes&p%69n=***&%73=***",
    "/?__debugger__=yes&cmd=resource&f=style.css": "/?__debugger__=yes&cmd=resource&f=style.css",
    "/debugger?s=shown&pin=shown": "/debugger?s=shown&pin=shown",
}
FORMATS: list[Callable[[Record], str]] = [
    Common(), Common(combined=True), Json(), Pretty(False), line_of,
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_what_opens_a_console_is_masked(target: str) -> None:
    assert without_secrets(target) == TARGETS[target]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: getattr(form, "__name__", "class"))
def test_no_format_writes_it(form: Callable[[Record], str]) -> None:
    target = next(iter(TARGETS))
    block = f"Host: x\r\nReferer: http://x{target}\r\n".encode()
    head = RequestHead("GET", target, "/a", target.partition("?")[2], 1, "x", block)
    for whole in (head, None):
        line = form((1700000000.25, "127.0.0.1", whole, f"GET {target}", 200, 1, 0.1, None))
        assert "PIN" not in line
        assert "KEY" not in line
        assert "__debugger__=yes" in line
