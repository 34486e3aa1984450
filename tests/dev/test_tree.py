"""The files below some places, and the differences between two snapshots."""

from __future__ import annotations

import os
from pathlib import Path

from carboy.dev.reload.tree import Tree, differences, snapshot


def test_folders_that_do_not_matter_are_not_entered(tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    found = snapshot([str(tmp_path)], lambda folder: not folder.endswith("out"))
    assert set(found) == {str(tmp_path / "in" / "file")}


def test_a_root_may_be_a_file_or_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    roots = [str(tmp_path / "file"), str(tmp_path / "gone")]
    assert set(snapshot(roots)) == {str(tmp_path / "file")}
    assert Tree(roots).places == {str(tmp_path)}


def test_a_link_is_followed_but_not_in_circles(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    (inside / "deep").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "file").write_text("x")
    (inside / "deep" / "upwards").symlink_to(tmp_path)
    (inside / "deep" / "itself").symlink_to(inside / "deep")
    (inside / "beside").symlink_to(tmp_path / "beside")
    tree = Tree([str(inside)])
    assert tree.places == {str(inside), str(inside / "deep"), str(tmp_path / "beside")}
    assert tree.all_files() == {str(tmp_path / "beside" / "file")}


def test_links_that_lead_to_each_other_are_skipped(tmp_path: Path) -> None:
    os.symlink(tmp_path / "one", tmp_path / "other")
    os.symlink(tmp_path / "other", tmp_path / "one")
    (tmp_path / "file").write_text("x")
    assert str(tmp_path / "file") in Tree([str(tmp_path)]).all_files()


def test_a_broken_link_is_skipped(tmp_path: Path) -> None:
    os.symlink(tmp_path / "nowhere" / "at all", tmp_path / "link")
    assert snapshot([str(tmp_path)]) == {}
    assert Tree([str(tmp_path)]).places == {str(tmp_path)}


def test_differences_between_two_snapshots() -> None:
    before = {"same": (1, 1, 1), "changed": (1, 1, 1), "gone": (1, 1, 1)}
    after = {"same": (1, 1, 1), "changed": (2, 1, 1), "made": (1, 1, 1)}
    assert differences(before, after) == {"changed", "gone", "made"}
