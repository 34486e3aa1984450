"""Links to code in a git checkout: remotes, commits, changed files, submodules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from carboy.dev.explain.places import APPLICATION, Place
from carboy.dev.links import Link, checkout, link_of

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
GITHUB = "https://github.com/me/shop"


def git(folder: Path, *command: str) -> str:
    names = ["-c", "user.name=Me", "-c", "user.email=me@a.example", "-c", "commit.gpgsign=false"]
    start = ["git", "-C", str(folder), *names, "-c", "protocol.file.allow=always"]
    done = subprocess.run([*start, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def forget() -> None:
    checkout.of_folder.cache_clear()
    checkout._of_top.cache_clear()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "src").mkdir(parents=True)
    (folder / "src/views.py").write_text("x = 1\n")
    git(folder, "init", "-q", "-b", "main")
    return folder


def link(file: Path, first: int = 3, last: int = 9) -> Link:
    return link_of(Place(str(file), first, last, APPLICATION, APPLICATION, file.name))


@pytest.mark.parametrize(
    "remote", ["git@github.com:me/shop.git", "https://token@github.com/me/shop"]
)
def test_a_file_is_linked_at_the_commit_of_its_checkout(shop: Path, remote: str) -> None:
    at = commit(shop)
    git(shop, "remote", "add", "origin", remote)
    assert link(shop / "src/views.py") == Link(f"{GITHUB}/blob/{at}/src/views.py#L3-L9")


def test_the_remote_of_the_branch_is_preferred_to_origin(shop: Path) -> None:
    commit(shop)
    git(shop, "remote", "add", "origin", "https://github.com/else/shop")
    git(shop, "remote", "add", "mine", GITHUB)
    git(shop, "config", "branch.main.remote", "mine")
    assert link(shop / "src/views.py").url.startswith(GITHUB)


def test_a_changed_file_is_linked_with_a_note(shop: Path) -> None:
    at = commit(shop)
    git(shop, "remote", "add", "origin", GITHUB)
    (shop / "src/views.py").write_text("x = 2\n")
    found = link(shop / "src/views.py")
    assert found.note == f"changed since commit {at[:10]}"
    assert at in found.url


def test_a_commit_that_was_not_pushed_is_linked_with_a_note(shop: Path) -> None:
    commit(shop)
    git(shop, "remote", "add", "origin", GITHUB)
    git(shop, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert link(shop / "src/views.py").note == ""
    checkout.of_folder.cache_clear()
    checkout._of_top.cache_clear()
    (shop / "src/views.py").write_text("x = 2\n")
    at = commit(shop)
    assert link(shop / "src/views.py").note == (
        f"commit {at[:10]} is not on any branch of the remote yet"
    )


def test_a_submodule_is_linked_in_its_own_repository(shop: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "prices.py").write_text("x = 1\n")
    git(library, "init", "-q", "-b", "main")
    at = commit(library)
    git(shop, "submodule", "add", "-q", str(library), "lib/prices")
    git(shop / "lib/prices", "remote", "set-url", "origin", "https://gitlab.com/me/group/prices")
    commit(shop)
    git(shop, "remote", "add", "origin", GITHUB)
    found = link(shop / "lib/prices/prices.py", 3, 3)
    assert found.url == f"https://gitlab.com/me/group/prices/-/blob/{at}/prices.py#L3"


def test_a_checkout_without_a_usable_remote_says_why_there_is_no_link(shop: Path) -> None:
    commit(shop)
    for remote, why in [
        ("", "its git checkout has no remote"),
        ("/srv/git/shop.git", "the remote of its git checkout is a folder"),
        (
            "https://me:hunter2@git.a.example/shop.git",
            "the form of links at git.a.example is not known",
        ),
    ]:
        checkout.of_folder.cache_clear()
        checkout._of_top.cache_clear()
        if remote:
            git(shop, "remote", "remove", "origin") if git(shop, "remote") else None
            git(shop, "remote", "add", "origin", remote)
        assert link(shop / "src/views.py") == Link("", why)


def test_files_outside_of_git_say_so(shop: Path, tmp_path: Path) -> None:
    assert link(shop / "src/views.py") == Link("", "its git repository has no commit")
    checkout.of_folder.cache_clear()
    checkout._of_top.cache_clear()
    commit(shop)
    (shop / "src/new.py").write_text("")
    assert link(shop / "src/new.py") == Link("", "its file is not committed to git")
    assert link(tmp_path / "views.py") == Link("", "it is not in a git checkout")
    assert link(Path("/there/views.py")) == Link("", "it is not in a git checkout")


def test_without_git_there_is_no_link(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert link(shop / "src/views.py") == Link("", "git is not installed")


def test_variables_of_a_hook_do_not_lead_to_another_repository(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(shop)
    git(shop, "remote", "add", "origin", GITHUB)
    monkeypatch.setenv("GIT_DIR", "/there/.git")
    assert at in link(shop / "src/views.py").url
