"""Password hashes and safe paths, compared with Werkzeug."""

from __future__ import annotations

import posixpath

import pytest
import werkzeug.security
from hypothesis import given
from hypothesis import strategies as st

from carboy.http import security as paths
from carboy.http.security import (
    SALT_CHARS,
    check_password_hash,
    gen_salt,
    generate_password_hash,
    safe_join,
)

# Fast parameters, because the format is tested and not the strength.
METHODS = ["scrypt:1024:8:1", "pbkdf2:sha256:10", "pbkdf2:sha1:10", "pbkdf2:sha512:3"]


@pytest.mark.parametrize("method", METHODS)
def test_both_packages_accept_each_others_hashes(method: str) -> None:
    ours = generate_password_hash("pässword", method)
    assert werkzeug.security.check_password_hash(ours, "pässword")
    assert not werkzeug.security.check_password_hash(ours, "password")
    theirs = werkzeug.security.generate_password_hash("pässword", method)
    assert check_password_hash(theirs, "pässword")
    assert not check_password_hash(theirs, "password")
    assert ours.split("$")[0] == theirs.split("$")[0]
    assert len(ours) == len(theirs)


def test_the_default_method_is_that_of_werkzeug() -> None:
    ours = generate_password_hash("x")
    assert ours.startswith("scrypt:32768:8:1$")
    assert len(ours.split("$")[1]) == 16
    assert werkzeug.security.check_password_hash(ours, "x")


def test_the_default_parameters_are_those_of_werkzeug() -> None:
    assert generate_password_hash("x", "pbkdf2").startswith("pbkdf2:sha256:1000000$")


def test_two_hashes_of_one_password_differ() -> None:
    assert generate_password_hash("x", METHODS[1]) != generate_password_hash("x", METHODS[1])


@pytest.mark.parametrize("stored", ["", "x", "a$b", "pbkdf2:sha256:10$s$zz", "pbkdf2:md5:1$s$ü"])
def test_text_that_is_not_a_hash_matches_no_password(stored: str) -> None:
    assert not check_password_hash(stored, "p")


@pytest.mark.parametrize(
    "method",
    ["plain", "md5", "", "scrypt:16", "scrypt:a:b:c", "pbkdf2:sha256:1:2", "pbkdf2:sha256:x"],
)
def test_an_unknown_method_is_refused(method: str) -> None:
    with pytest.raises(ValueError):
        generate_password_hash("x", method)


@pytest.mark.parametrize("length", [1, 16, 100])
def test_a_salt_has_the_requested_length(length: int) -> None:
    salt = gen_salt(length)
    assert len(salt) == length
    assert set(salt) <= set(SALT_CHARS)


@pytest.mark.parametrize("length", [0, -1])
def test_a_salt_is_never_empty(length: int) -> None:
    with pytest.raises(ValueError):
        gen_salt(length)


JOINS = [
    ("d", "a"), ("d", "a", "b"), ("d", "../x"), ("d", "a/../b"), ("d", "a/../../b"), ("d", "/x"),
    ("d", ""), ("d", "."), ("d", ".."), ("d", "a//b"), ("d", "a\\b"), ("", "a"), ("", "../a"),
    ("/r", "a"), ("d/", "a"), ("d", "CON"), ("d", "c:/x"), ("d", "a", "/b"), ("d", "a", ".."),
    ("d", "..."), ("d", "..a"), (".", "a"), ("..", "a"), ("d", "a:b"), ("d", "a/"), ("d", "./a"),
    ("d", "a", "", "b"), ("d", "a", "../b"), ("d", "//x"), ("d",),
]  # fmt: skip


@pytest.mark.parametrize("parts", JOINS, ids=str)
def test_paths_are_joined_as_in_werkzeug(parts: tuple[str, ...]) -> None:
    assert safe_join(*parts) == werkzeug.security.safe_join(*parts)


@given(st.lists(st.text("ab./\\:~ ", max_size=8), max_size=3))
def test_a_joined_path_is_inside_its_directory(parts: list[str]) -> None:
    joined = safe_join("/root", *parts)
    assert joined == werkzeug.security.safe_join("/root", *parts)
    if joined is not None:
        assert posixpath.normpath(joined).startswith("/root")
        assert ".." not in joined.split("/")


def test_a_path_with_nul_is_refused() -> None:
    assert safe_join("d", "a\0b") is None


@pytest.mark.parametrize(
    "part",
    [
        "CON", "con", "con.txt", "a/NUL", "NUL/a", "aux.tar.gz", "COM1", "com¹.txt", "LPT9", "PRN ",
        " CON", "CON .txt", "CONIN$", "con:", "con:stream", "a:b", "c:/x", "c:x", "a\\b", "..\\x",
        "\\\\host\\share", "COM0", "con\t", "x/ AUX .txt",
    ],
)  # fmt: skip
def test_devices_drives_streams_and_backslashes_are_refused_on_windows(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert safe_join("/d", part) is not None or "\\" in part
    monkeypatch.setattr("os.name", "nt")
    assert safe_join("/d", part) is None
    # Werkzeug accepts a few more parts: drives, streams and the device COM0.
    passed = werkzeug.security.safe_join("/d", part)
    assert passed is None or ":" in part or "\\" in part or part == "COM0"


@pytest.mark.parametrize("part", ["a\\b", "\\x", "a/b\\c", "a:b", "a/b"])
def test_a_part_with_a_separator_of_the_system_is_refused(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_os_alt_seps", ["\\", ":"])
    monkeypatch.setattr(werkzeug.security, "_os_alt_seps", ["\\", ":"])
    assert safe_join("/d", part) == werkzeug.security.safe_join("/d", part)


@pytest.mark.parametrize("part", ["a", "console", "com10.txt", "nulls", "my con", "a/b.txt", "com"])
def test_ordinary_names_are_accepted_on_windows(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.name", "nt")
    assert safe_join("/d", part) == werkzeug.security.safe_join("/d", part) == f"/d/{part}"
