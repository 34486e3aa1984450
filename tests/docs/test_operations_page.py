"""The commands of the table of symptoms work as they are written."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from admin_commands import Project, project
from carboy.cli.admin.status import command as status
from carboy.cli.main import LATE

__all__ = ["project"]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
TIME = re.compile(r"^\d+[sm]$")  # for which a command looks


def commands() -> list[str]:
    """The second column of the table."""
    section = PAGE.read_text().split("## Symptoms\n")[1].split("\n## ")[0]
    return re.findall(r"^\| [^|]+ \| `carboy ([^`]+)` \|", section, re.MULTILINE)


def test_each_row_of_the_table_of_symptoms_has_a_command() -> None:
    section = PAGE.read_text().split("## Symptoms\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(commands()) == len(rows) > 9


def a_worker(project: Project) -> int:
    """The process id of a worker, when as many serve as there should be."""
    for _ in range(2000):
        found = project.value(status, "--timeout", "30")
        workers = found["workers"]
        serving = [each for each in workers if each["state"] == "serving" and each["answers"]]
        if len(serving) == len(workers) == found["server"]["target"]:
            return int(serving[0]["pid"])
    raise AssertionError("The workers do not serve.")


def test_the_commands_of_the_table_of_symptoms_work(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(project.folder))
    with project.serve("--workers", "1") as server:
        server.get("/")
        for text in commands():
            name, *args = shlex.split(text)
            command = import_module(LATE[name]).command
            worker = a_worker(project)
            args = [TIME.sub("0.2s", each.replace("WORKER", str(worker))) for each in args]
            args += ["--interval", "0.1"] if name == "top" else []
            found = project.invoke(command, *args)
            assert found.exit_code == 0, f"carboy {text}: {found.output}"
            assert found.output.strip()
