"""`carboy new`: the created project works without changes."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy.cli import new
from running import Running, carboy


def test_the_project_passes_its_tests_and_is_served(tmp_path: Path) -> None:
    assert "cellar is ready" in carboy(tmp_path, "new", "cellar")
    folder = tmp_path / "cellar"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take a second to load
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    with Running("run", "-p", "0", cwd=folder) as server:  # the name is in pyproject.toml
        status, page = server.get()
        assert status == 200
        assert b"Hello, world!" in page
        assert b"NAME" not in page
        assert server.get("/static/cellar.css")[0] == 200
        assert server.get("/static/cellar.svg")[0] == 200


@pytest.mark.parametrize(
    ("name", "told"),
    [("my-site", "Use for example my_site."), ("class", "Use for example site_class."),
     ("json", "for example json_site."), ("9lives", "Use for example site_9lives."),
     ("Flask", "for example Flask_site."), ("click", "for example click_site."),
     ("über.py", "Use for example uber."), ("..", "Use for example my_site."),
     ("__init__", "Use for example init.")],
)  # fmt: skip
def test_an_impossible_name_is_an_error_with_a_suggestion(
    tmp_path: Path, name: str, told: str
) -> None:
    assert told in carboy(tmp_path, "new", name, code=2)
    assert not list(tmp_path.iterdir())


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cellar").mkdir()
    (tmp_path / "cellar" / "mine").write_text("kept")
    assert "not empty" in carboy(tmp_path, "new", "cellar", code=1)
    assert [path.name for path in (tmp_path / "cellar").iterdir()] == ["mine"]


def test_a_file_of_that_name_and_a_name_that_is_too_long_are_errors(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("")
    assert "Error: shop is a file. Choose another name." in carboy(tmp_path, "new", "shop", code=1)
    told = carboy(tmp_path, "new", "a" * 300, code=1)
    assert "cannot be written: File name too long." in told


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cellar").symlink_to("/proc/nowhere")
    assert "cannot be written" in carboy(tmp_path, "new", "cellar", code=1)


class Installed:
    def __init__(self, direct_url: Any) -> None:
        self.direct_url = direct_url

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.direct_url and json.dumps(self.direct_url)


@pytest.mark.parametrize(
    ("direct_url", "arguments"),
    [
        (None, []),
        ({"url": "file:///srv/a%20b", "dir_info": {"editable": True}}, ["-e", "/srv/a b"]),
        ({"url": "file:///srv/clone", "dir_info": {}}, ["/srv/clone"]),
        ({"url": "https://host/carboy.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
         ["carboy @ git+https://host/carboy.git@abc"]),
        ({"url": "https://host/carboy.whl", "archive_info": {}}, ["carboy @ https://host/carboy.whl"]),
    ],
)  # fmt: skip
def test_the_project_is_installed_with_carboy_from_where_it_came(
    direct_url: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new, "distribution", lambda name: Installed(direct_url))
    command = new.install_command()
    assert command[command.index("install") + 1 :] == [*arguments, "-e", ".[dev]"]


def test_the_commands_that_are_shown_work_in_a_clone(tmp_path: Path) -> None:
    output = carboy(tmp_path, "new", "cellar")
    clone = Path(__file__).parents[2]
    lines = [shlex.split(line) for line in output.splitlines() if line.startswith("    ")]
    assert lines[0] == ["cd", "cellar"]
    assert lines[1][-5:] == ["install", "-e", str(clone), "-e", ".[dev]"]
    assert lines[2] == [sys.executable, "-m", "carboy", "dev"]  # PATH is empty
    done = subprocess.run(
        [*lines[3], "-q", "-p", "no:cacheprovider"], cwd=tmp_path / "cellar", capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "2 passed" in done.stdout


@pytest.fixture
def hurried() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("made_by", ["carboy new", "the example"])
def test_workers_that_start_at_the_same_time_share_one_secret_key(
    made_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if made_by == "carboy new":
        carboy(tmp_path, "new", "cellar")
        package = tmp_path / "cellar" / "cellar"
    else:
        package = Path(__file__).parents[2] / "examples" / "notes" / "notes"
    monkeypatch.syspath_prepend(str(package.parent))
    secret_key: Any = runpy.run_path(str(package / "__init__.py"))["_secret_key"]
    for turn in range(20):
        file = tmp_path / "instance" / str(turn) / "secret_key"
        start = threading.Barrier(8)
        found: list[str] = []

        def ask(file: Path = file, start: threading.Barrier = start) -> None:
            start.wait()
            found.append(secret_key(file))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == 8 * [file.read_text()]
        assert len(found[0]) > 40
        assert [each.name for each in file.parent.iterdir()] == ["secret_key"]
        assert file.stat().st_mode & 0o777 == 0o600
