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
