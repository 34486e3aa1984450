"""Addresses of repositories from remotes and pages, and the forms of links of each host."""

from __future__ import annotations

import pytest

from carboy.dev.links import hosts


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:a/b.git", "https://github.com/a/b"),
        ("ssh://git@github.com:22/a/b.git", "https://github.com/a/b"),
        ("https://github.com/a/b", "https://github.com/a/b"),
        ("git+https://github.com/a/b.git", "https://github.com/a/b"),
        ("https://github.com/a/b/tree/main/sub", "https://github.com/a/b"),
        ("https://www.github.com/a/b#readme", "https://github.com/a/b"),
        ("https://github.com/a/b/", "https://github.com/a/b"),
        ("https://gitlab.com/group/sub/project/-/issues", "https://gitlab.com/group/sub/project"),
        ("https://gitlab.com/group/project/issues", "https://gitlab.com/group/project"),
        ("git@gitlab.example.org:group/sub/p.git", "https://gitlab.example.org/group/sub/p"),
        ("https://codeberg.org/a/b/issues", "https://codeberg.org/a/b"),
        ("git@bitbucket.org:a/b.git", "https://bitbucket.org/a/b"),
        ("https://git.sr.ht/~a/b", "https://git.sr.ht/~a/b"),
        ("git@git.sr.ht:~a/b", "https://git.sr.ht/~a/b"),
        ("https://github.com/sponsors/a", ""),
        ("https://github.com/a", ""),
        ("https://a.example/a/b", ""),
        ("/srv/git/shop.git", ""),
        ("../shop", ""),
        ("", ""),
    ],
)
def test_remotes_and_pages_give_the_address_of_the_repository(remote: str, address: str) -> None:
    assert hosts.address_of(remote) == address


def test_a_password_in_a_remote_is_left_out() -> None:
    assert hosts.address_of("https://bob:hunter2@github.com/a/b.git") == "https://github.com/a/b"
    assert hosts.host_of("https://bob:hunter2@a.example/a/b") == "a.example"


@pytest.mark.parametrize(
    ("home", "at_tag", "at_commit"),
    [
        ("github.com/a/b", "blob/v1/x.py#L3-L9", "blob/abc/x.py#L3-L9"),
        ("gitlab.com/a/b/c", "-/blob/v1/x.py#L3-9", "-/blob/abc/x.py#L3-9"),
        ("codeberg.org/a/b", "src/tag/v1/x.py#L3-L9", "src/commit/abc/x.py#L3-L9"),
        ("bitbucket.org/a/b", "src/v1/x.py#lines-3:9", "src/abc/x.py#lines-3:9"),
        ("git.sr.ht/~a/b", "tree/v1/item/x.py#L3-9", "tree/abc/item/x.py#L3-9"),
    ],
)
def test_each_host_has_its_form(home: str, at_tag: str, at_commit: str) -> None:
    home = f"https://{home}"
    assert hosts.link(home, "v1", "x.py", 3, 9) == f"{home}/{at_tag}"
    assert hosts.link(home, "abc", "x.py", 3, 9, is_commit=True) == f"{home}/{at_commit}"


def test_one_line_and_a_whole_file_have_shorter_forms() -> None:
    home = "https://github.com/a/b"
    assert hosts.link(home, "v1", "x.py", 3, 3).endswith("/x.py#L3")
    assert hosts.link(home, "v1", "x.py").endswith("/x.py")


def test_names_are_quoted() -> None:
    link = hosts.link("https://github.com/a/b", "v1", "my code/ä#1.py", 3, 3)
    assert link == "https://github.com/a/b/blob/v1/my%20code/%C3%A4%231.py#L3"
