"""Which tests `make check` runs for which changed file."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "tests/test_layers.py": "",
    "tests/test_dates.py": "",
    "tests/http/test_headers.py": "",
    "tests/http/test_request.py": "",
    "tests/http/test_request_parts.py": "",
    "tests/http/test_streams.py": "from carboy.http.limited import LimitedStream\n",
    "tests/server/test_engine.py": "from running import Running\n",
    "tests/server/test_streams.py": "from carboy.server import crew\n",
    "tests/dev/test_explain_report.py": "",
    "tests/demo/test_notes.py": "",
    "tests/docs/test_docs.py": "",
    "tests/tools/test_check.py": "",
}
LAYERS = "tests/test_layers.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("carboy_check", ROOT / "tools" / "check.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("src/carboy/http/headers.py", ["tests/http/test_headers.py", LAYERS]),
        (
            "src/carboy/http/request/__init__.py",
            ["tests/http/test_request.py", "tests/http/test_request_parts.py", LAYERS],
        ),
        ("src/carboy/dev/explain/report.py", ["tests/dev/test_explain_report.py", LAYERS]),
        ("src/carboy/dates.py", ["tests/test_dates.py", LAYERS]),
        ("tests/http/test_headers.py", ["tests/http/test_headers.py"]),
        ("tools/check.py", ["tests/tools/test_check.py"]),
    ],
)
def test_a_test_named_after_the_file_runs(check, root, changed, tests):
    assert check.Tests.of(root).for_files([changed], root) == tests


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("src/carboy/http/limited.py", [LAYERS, "tests/http/test_streams.py"]),
        ("src/carboy/server/crew.py", [LAYERS, "tests/server/test_streams.py"]),
        ("tests/running.py", ["tests/server/test_engine.py"]),
    ],
)
def test_without_a_test_of_its_name_those_that_import_the_file_run(check, root, changed, tests):
    assert check.Tests.of(root).for_files([changed], root) == tests


def test_a_module_without_tests_runs_those_of_its_folder(check, root):
    found = check.Tests.of(root).for_files(["src/carboy/http/request/body.py"], root)
    assert found == [LAYERS, "tests/http/test_request.py", "tests/http/test_request_parts.py"]


def test_otherwise_a_few_tests_of_the_room_run(check, root):
    for number in range(20):
        (root / f"tests/server/test_{number:02}.py").touch()
    found = check.Tests.of(root).for_files(["src/carboy/server/nothing.py"], root)
    assert found[0] == LAYERS
    assert len(found) == 1 + check.MOST_FALLBACK_FILES
    assert all(file.startswith("tests/server/") for file in found[1:])


def test_pages_and_examples_have_tests_too(check, root):
    tests = check.Tests.of(root)
    assert tests.for_files(["README.md", "docs/serving.md"], root) == ["tests/docs/test_docs.py"]
    assert tests.for_files(["examples/notes/notes/text.py"], root) == ["tests/demo/test_notes.py"]
    assert tests.for_files([".gitignore", "pyproject.toml"], root) == []


def test_each_test_file_runs_once(check, root):
    changed = ["src/carboy/http/headers.py", "tests/http/test_headers.py"]
    assert check.Tests.of(root).for_files(changed, root) == ["tests/http/test_headers.py", LAYERS]


@pytest.fixture
def repository(check, tmp_path, monkeypatch):
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        identity += ["-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    monkeypatch.setattr(check, "ROOT", tmp_path)
    git("init", "-q", "-b", "main")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    (tmp_path / "old.py").touch()
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return tmp_path, git


def test_nothing_has_changed_in_a_fresh_clone(check, repository):
    assert check.changed_files() == []


def test_commits_of_the_branch_edits_and_new_files_have_changed(check, repository):
    folder, git = repository
    git("switch", "-q", "-c", "mine")
    (folder / "committed.py").touch()
    git("add", ".")
    git("commit", "-q", "-m", "second")
    (folder / "old.py").write_text("edited = True\n")
    (folder / "new.py").touch()
    (folder / "ignored.py").touch()
    assert check.changed_files() == ["committed.py", "new.py", "old.py"]


def test_without_changes_only_lint_and_types_run(check, repository, monkeypatch, capsys):
    titles = []
    monkeypatch.setattr(check, "run", lambda title, *_: titles.append(title) or True)
    assert check.main([]) == 0
    assert titles == ["lint", "format", "types"]
    assert "tests: no file has changed. `make test` runs all of them." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "seconds", "passed", "said"),
    [
        ("def test_it():\n    pass\n", 100, True, ""),
        ("def test_it():\n    assert False\n", 100, False, ""),
        (
            "import threading\n\ndef test_it():\n    threading.Event().wait()\n",
            3,
            True,
            "tests: none failed in 3 s. Not all have run; `make test` runs them.",
        ),
    ],
)
def test_tests_run_for_a_limited_time(check, repository, capfd, body, seconds, passed, said):
    folder, _ = repository
    (folder / "test_it.py").write_text(body)
    assert check.run_tests(["test_it.py"], seconds) is passed
    assert said in capfd.readouterr().out
