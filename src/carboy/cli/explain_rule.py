"""The rule that matches the request of a recorded server, which only its process can tell.

The request is in a file of the folder of the recording. The process that has the application writes
the lines about the rule next to it when it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from carboy.cli import matched
from carboy.cli.explain_question import Question
from carboy.dev.routes import matching

REQUEST, RULE = "request", "rule"


def ask(folder: Path, question: Question) -> None:
    """Write the request for the process of the server."""
    path = question.path.partition("?")[0]
    (folder / REQUEST).write_text(json.dumps([question.routed_as, path]), "utf-8")


def answer(folder: Path, apps: Iterable[Any]) -> None:
    """Write the lines about the rule: of the application that has one, else of any of them."""
    file = folder / REQUEST
    if not file.exists():
        return
    method, path = json.loads(file.read_text("utf-8"))
    found: list[str] = []
    for app in apps:
        try:
            lines = matched.of_request(app, method, path)
        except Exception:  # a map that cannot be asked outside of a request
            continue
        if not found or any(matching.MATCHES in line for line in lines):
            found = lines
    if found:
        (folder / RULE).write_text(json.dumps(found), "utf-8")


def read(folder: Path) -> list[str]:
    """The lines about the rule; [] for an application without rules."""
    file = folder / RULE
    return [str(each) for each in json.loads(file.read_text("utf-8"))] if file.exists() else []
