"""The reports in docs/examples are made by `make report` and agree with the code they quote."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

import ready_commands
from report_reading import Step, installed, steps_of, wrong_lines

pytestmark = pytest.mark.xdist_group("reports")  # they use the same port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"
REPORTS = {
    "flask": EXAMPLES / "flask-tcp-connections.md",
    "carboy": EXAMPLES / "carboy-tcp-connections.md",
}
COMMIT = re.compile(r"\b[0-9a-f]{40}\b")
# Own code, whose lines change with every commit.
OWN = re.compile(r"carboy/[\w/]+\.py(:\d+(-\d+)?)?")


def versions(report: str) -> dict[str, str]:
    """The versions of the packages in a report."""
    return dict(re.findall(r"^### ([\w.-]+) (\d\S*)$", report, re.MULTILINE))


def commands() -> dict[str, list[str]]:
    """The arguments of `carboy explain` in the Makefile, by the file that they write."""
    rule = (ROOT / "Makefile").read_text().partition("\nreport:")[2].partition("\n\n")[0]
    lines = rule.replace("\\\n", " ").splitlines()
    found = [shlex.split(line.partition("$(EXPLAIN)")[2]) for line in lines if "$(EXPLAIN)" in line]
    return {words[-1]: words for words in found}


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The text of a report that is made again, in a folder with the applications only."""
    folder = tmp_path_factory.mktemp("examples")
    for app in EXAMPLES.glob("*_app.py"):
        shutil.copy(app, folder)

    @cache
    def make(name: str) -> str:
        file = REPORTS[name].name
        # The reports have a port in them. Runs of other checkouts on this machine need it too.
        with open(Path(tempfile.gettempdir()) / "carboy-example-reports.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = ready_commands.run(["explain", *commands()[file]], folder, dict(os.environ))
        assert done.returncode == 0, done.stderr
        return (folder / file).read_text()

    return make


def comparable(report: str) -> str:
    """The report without what differs with the checkout and with the day."""
    text = re.sub(r"\[(`(?:carboy/|flask_app)[^`]+`)\]\([^)]+\)", r"\1", report)
    text = OWN.sub("carboy/…", text)
    text = re.sub(r" \(no link: (?!a system call)[^)]+\)", "", text)
    text = re.sub(
        r"^\| application \| (`\w+`).*$", r"| application | \1 |", text, flags=re.MULTILINE
    )
    text = re.sub(r"\n### carboy .+?(?=\n##)", "", text, flags=re.DOTALL)
    text = re.sub(r"Date: \w{3}, …", "Date: …", text)  # a value that was cut within the date
    return re.sub(r"\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT", "DATE", text)


def walk(report: str) -> list[tuple[str, ...]]:
    """The function and the caller of each step."""
    text = comparable(report)
    return [(each.title, each.function, each.place, each.caller) for each in steps_of(text)]


def port(report: str) -> str:
    """The port on which the server listened: another one if that of the reports is in use."""
    found = re.search(r"socket: `127\.0\.0\.1:(\d+)`", report)
    assert found is not None
    return found[1]


def headings(report: str) -> list[str]:
    """The headings, without versions. The size of the request is without the digits of the port."""
    found = re.findall(r"^#{2,3} (.+)$", report, re.MULTILINE)
    digits = len(port(report))

    def without_port(size: re.Match[str]) -> str:
        return f"The request: {int(size[1]) - digits} bytes and the port"

    sizes = [re.sub(r"^The request: (\d+) bytes", without_port, heading) for heading in found]
    return [re.sub(r" \d\S*$", "", heading) for heading in sizes]


def test_the_report_of_flask_is_what_the_command_writes(remade: Callable[[str], str]) -> None:
    checked_in, now = REPORTS["flask"].read_text(), remade("flask")
    assert headings(now) == headings(checked_in)
    if versions(now) != versions(checked_in):  # their steps may be others
        return
    assert walk(now) == walk(checked_in), "Run `make report`."
    if port(now) == port(checked_in):
        assert comparable(now) == comparable(checked_in), "Run `make report`."


def test_the_report_of_carboy_is_what_the_command_writes(remade: Callable[[str], str]) -> None:
    """Only the headings are compared, because each change of the server would change the rest."""
    assert headings(remade("carboy")) == headings(REPORTS["carboy"].read_text())


def lines_at(commit: str, path: str) -> list[str] | None:
    """The lines of a file of this repository at a commit; None where git does not have it."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "show", f"{commit}:{path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.split("\n") if done.returncode == 0 else None


def lines_of(step: Step, report: str) -> list[str] | None:
    """The lines of the file that a step quotes, in the version that the report names."""
    if step.file.startswith("carboy/"):
        commit = COMMIT.search(report)
        assert commit is not None
        return lines_at(commit[0], f"src/{step.file}")
    named, top = versions(report), step.file.partition("/")[0]
    names = {name.lower(): version for name, version in named.items()}
    if top in names and metadata.version(top) != names[top]:
        return None
    if top not in names and named["Python"] != sys.version.split()[0]:
        return None
    return installed(step.file, EXAMPLES).read_text("utf-8").split("\n")


@pytest.mark.parametrize("name", REPORTS)
def test_every_line_is_that_of_the_version_that_the_report_names(name: str) -> None:
    """As far as these versions are installed, or the commit is in this clone."""
    report = REPORTS[name].read_text()
    for step in steps_of(report):
        lines = lines_of(step, report)
        if lines is None:
            continue
        for number, text in step.quoted().items():
            assert lines[number - 1].rstrip() == text, f"step {step.number}, line {number}"


@pytest.mark.parametrize("name", REPORTS)
def test_every_line_of_a_new_report_is_a_line_of_the_file(
    name: str, remade: Callable[[str], str]
) -> None:
    steps = steps_of(remade(name))
    assert wrong_lines(steps, EXAMPLES) == []
    assert sum(len(step.quoted()) for step in steps) > 2 * len(steps)


@pytest.mark.parametrize("name", REPORTS)
def test_every_link_names_the_version_and_the_lines_of_its_text(name: str) -> None:
    report = REPORTS[name].read_text()
    links = re.findall(r"\[`([^`]+?):(\d+)(?:-(\d+))?`\]\((https://\S+?)\)", report)
    assert links
    named = {each.lower(): version for each, version in versions(report).items()}
    for file, first, last, url in links:
        path, _, fragment = url.partition("#")
        assert fragment == (f"L{first}-L{last}" if last else f"L{first}")
        top = file.partition("/")[0]
        tag = f"/{named[top]}/" if top in named else f"/v{named['python']}/Lib/"
        assert tag in path.replace(f"/v{named.get(top, '')}/", f"/{named.get(top, '')}/"), url
        assert path.endswith(file) or file.startswith("<frozen ")
