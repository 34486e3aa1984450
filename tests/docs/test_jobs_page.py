"""The examples of the page about jobs run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_mail_is_sent_after_the_order_is_answered() -> None:
    sent: list[int] = []
    names: dict[str, Any] = {
        "__name__": "shop", "save_order": lambda: 7, "send_mail": sent.append
    }  # fmt: skip
    exec(SNIPPETS[0], names)
    assert names["app"].test_client().post("/orders").json == {"number": 7}
    assert sent == [7]


def test_the_function_at_intervals_is_registered() -> None:
    from carboy import Carboy

    app = Carboy("shop")
    called: list[int] = []
    names: dict[str, Any] = {"app": app, "remove_old_orders": lambda: called.append(1)}
    exec(SNIPPETS[1], names)
    ((function, seconds, at_start),) = app.every_jobs
    assert (seconds, at_start) == (300.0, False)
    function()
    assert called == [1]
