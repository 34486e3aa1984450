"""Links, options and file names in the documentation exist."""

from __future__ import annotations

import pkgutil
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from carboy.cli.main import make_group

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of `page`."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_heading(page: Path) -> None:
    missing = []
    for match in LINK.finditer(FENCE.sub("", page.read_text())):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert missing == []


def options(command: str) -> set[str]:
    """The options in the help of a command, without the negative of a pair."""
    text = CliRunner().invoke(make_group(), [command, "--help"], catch_exceptions=False).output
    names = re.findall(r"^ +(?:-\w, )?(--[\w-]+)(?:, (--[\w-]+))?", text, re.MULTILINE)
    return {name for pair in names for name in pair if name}


@pytest.mark.parametrize("command", ["run", "dev"])
def test_every_option_is_explained(command: str) -> None:
    pages = (
        "serving",
        "logging",
        "workers",
        "metrics",
        "https",
        "http2",
        "jobs",
        "static-files",
        "develop",
        "from-flask",
    )
    text = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in pages)
    explained = set(re.findall(r"--[a-z][\w-]+", text.replace("--no-", "--")))
    assert options(command) - explained - {"--help"} == set()


def test_every_option_in_the_pages_exists() -> None:
    found = {"--version", "--help"}
    for command in ("run", "dev", "explain", "learn", "routes", "shell", "new", "completion"):
        found |= options(command)
    pages = [
        ROOT / "README.md",
        *(
            ROOT / "docs" / f"{n}.md"
            for n in ("serving", "logging", "https", "http2", "static-files", "develop", "learn")
        ),
    ]
    wrong = []
    for page in pages:
        # In code only: `--name`, and lines that begin with a command.
        for name in re.findall(
            r"(?:`|^ +carboy .*?|^\$ carboy .*?)(--[a-z][\w-]+)", page.read_text(), re.M
        ):
            if name not in found and name.replace("--no-", "--", 1) not in found:
                wrong.append(f"{page.name}: {name}")
    assert wrong == []


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [f"/{name}" for name in listed.stdout.splitlines() if (ROOT / name).exists()]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs"])
def test_every_file_that_is_named_exists(name: str) -> None:
    pages = sorted((ROOT / name).glob("*.md")) if name == "docs" else [ROOT / name]
    known = files()
    invented = {"hello.py", "app.py", "wsgi.py", "script.py", "shop.py", "x.py", "test_x.py"}
    missing = []
    for page in pages:
        for file in re.findall(r"`(?:\.\./)?([\w/]*\w\.(?:py|toml|lua))\b", page.read_text()):
            there = any(path.endswith(f"/{file}") for path in known)
            if not there and file.rpartition("/")[2] not in invented | {"sitecustomize.py"}:
                missing.append(f"{page.name}: {file}")
    assert missing == []


# Loggers, keys of the environ and of spans
NAMES = {
    "carboy.error", "carboy.exchange", "carboy.queue_time", "carboy.route", "carboy.slow",
}  # fmt: skip


def test_every_module_that_is_named_exists() -> None:
    missing = []
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue
        found = re.findall(r"`(?:from )?(carboy(?:\.\w+)+)(?=[`( ])", page.read_text())
        for name in set(found) - NAMES:
            try:
                pkgutil.resolve_name(name)
            except (ImportError, AttributeError):
                missing.append(f"{page.name}: {name}")
    assert missing == []


def test_the_table_of_where_to_find_things_is_true() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = text.partition("### Where to find things")[2].partition("\n## ")[0]
    missing = []
    for row in re.findall(r"^\| [A-Z].*$", rows, re.MULTILINE):
        _, _, places, names, _ = row.split("|")
        files = re.findall(r"`([\w/]+\.py)`", places)
        assert files, row
        code = "".join((ROOT / "src/carboy" / file).read_text() for file in files)
        missing += [
            name for name in re.findall(r"`(\w+)`", names) if not re.search(rf"\b{name}\b", code)
        ]
    assert missing == []


def test_imports_in_examples_work() -> None:
    for page in PAGES:
        for code in re.findall(
            r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
        ):
            for line in re.findall(r"^(?:from|import) carboy.*$", code, re.MULTILINE):
                exec(line)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("serving", " threads are busy, and "),
        ("serving", "Threads are free again after "),
        ("serving", " requests were"),
        ("serving", " were dropped because their clients had gone"),
        ("serving", " has been stuck for "),
        ("serving", "a request holds the interpreter lock in compiled code, such as a regular "),
        ("serving", ". Another one takes its place."),
        ("serving", " (the last one that was read)"),
        ("serving", "another program, "),
        ("serving", ". Stop it, or use another port, for example --port "),
        ("serving", " (0 chooses a free port)."),
        ("serving", "they were not read in time"),
        ("from-flask", ". In this environment, flask and werkzeug mean Carboy"),
        ("from-flask", ", which runs on Carboy."),
    ],
)
def test_messages_in_the_pages_are_those_of_the_program(page: str, text: str) -> None:
    assert text in (ROOT / f"docs/{page}.md").read_text()
    source = "".join(file.read_text() for file in (ROOT / "src/carboy").rglob("*.py"))
    assert text in re.sub(r'"\s*\n\s*(?:\+ )?f?"', "", source)


def test_the_design_names_every_module() -> None:
    text = (ROOT / "docs/design.md").read_text()
    rooms = text.partition("## 3. Rooms")[2].partition("## 4.")[0]
    words = set(re.findall(r"\w+", rooms))
    modules = {file.stem for file in (ROOT / "src/carboy").rglob("*.py")}
    known = {"__init__", "__main__", "provider", "tag", "pytest", "carboy_names", "sitecustomize"}
    assert modules - words - known == set()
