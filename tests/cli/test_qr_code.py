"""QR codes in the terminal, read back module by module."""

from __future__ import annotations

import pytest
import segno

from carboy.cli.dev import terminal
from carboy.cli.dev.terminal import DARK_ON_LIGHT

HALVES = {shape: pair for pair, shape in terminal.HALVES.items()}


@pytest.mark.parametrize("colour", [True, False])
def test_every_module_is_drawn_with_a_margin(colour: bool) -> None:
    lines = terminal.qr_code("http://192.168.1.5:8000/", colour)
    if colour:
        lines = [line.removeprefix(DARK_ON_LIGHT).removesuffix("\x1b[0m") for line in lines]
    rows = []
    for line in lines:
        for half in (0, 1):
            rows.append([HALVES[cell][half] == colour for cell in line])
    code = segno.make("http://192.168.1.5:8000/", micro=False, error="l")
    wanted = [[bool(dark) for dark in row] for row in code.matrix_iter(border=terminal.QUIET)]
    assert rows[: len(wanted)] == wanted
    assert not any(any(row) for row in rows[len(wanted) :])


def test_without_the_package_segno_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    assert terminal.qr_code("text", True) == []
