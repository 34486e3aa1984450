"""The code of templates is kept in files that only their user can change."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path
from typing import Any

import jinja2
import pytest

import carboy
from carboy.app import template_files
from carboy.app.template_files import BytecodeFiles, folder_of_user

SOURCE = "{{ x }}{{ 'a'|upper }}"
posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no modes")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the templates that Jinja compiles."""
    seen: list[str] = []
    compile_ = jinja2.Environment.compile

    def counted(self: Any, source: Any, name: Any = None, *args: Any, **more: Any) -> Any:
        seen.append(name)
        return compile_(self, source, name, *args, **more)

    monkeypatch.setattr(jinja2.Environment, "compile", counted)
    return seen


class Site:
    """An application in a folder; `render` is what a new worker does with its template."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.template = root / "templates" / "page.html"
        self.template.parent.mkdir()
        self.template.write_text(SOURCE)
        self.kept = root / "kept"
        self.config: dict[str, Any] = {"TEMPLATE_BYTECODE_CACHE": str(self.kept)}

    def app(self) -> carboy.Flask:
        app = carboy.Flask("site", root_path=str(self.root))
        app.config.update(self.config)
        return app

    def render(self, app: carboy.Flask | None = None) -> str:
        app = app or self.app()
        with app.app_context():
            return carboy.render_template("page.html", x="<")

    def files(self) -> list[Path]:
        return sorted(self.kept.iterdir()) if self.kept.is_dir() else []


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_template_is_compiled_once_for_all_workers(site: Site, compiled: list[str]) -> None:
    assert site.render() == site.render() == "&lt;A"
    assert compiled == ["page.html"]
    assert len(site.files()) == 1
    assert stat.S_IMODE(site.kept.stat().st_mode) & 0o022 == 0


def test_a_changed_template_is_compiled_again(site: Site, compiled: list[str]) -> None:
    site.render()
    site.template.write_text("new {{ x }}")
    assert site.render() == "new &lt;"
    assert len(compiled) == 2


def needs_context(app: carboy.Flask) -> None:
    app.jinja_env.filters["lower"] = jinja2.pass_context(lambda context, text: text)


def more_filters(app: carboy.Flask) -> None:
    app.jinja_env.filters["shout"] = str.upper


def other_policy(app: carboy.Flask) -> None:
    app.jinja_env.policies["truncate.leeway"] = 0


@pytest.mark.parametrize(
    "change",
    [
        needs_context,
        more_filters,
        other_policy,
        lambda app: app.jinja_options.update(trim_blocks=True),
        lambda app: app.jinja_options.update(autoescape=False),
        lambda app: app.jinja_options.update(extensions=["jinja2.ext.do"]),
        lambda app: app.config.update(TEMPLATE_SHORTCUTS=False),
    ],
)
def test_other_settings_of_the_environment_have_files_of_their_own(
    site: Site, compiled: list[str], change: Any
) -> None:
    site.render()
    app = site.app()
    app.jinja_options = dict(app.jinja_options)
    change(app)
    site.render(app)
    assert len(compiled) == len(site.files()) == 2


class Own(jinja2.Undefined):
    pass


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({"undefined": Own}, SOURCE),
        ({"finalize": lambda value: value}, SOURCE),
        ({}, "{{ 'constant'|mine }}"),
    ],
)
def test_code_that_depends_on_the_application_is_not_kept(
    site: Site, options: dict[str, Any], source: str
) -> None:
    site.template.write_text(source)
    app = site.app()
    app.jinja_options = options
    app.jinja_env.filters["mine"] = str.upper
    site.render(app)
    assert not site.files()


def test_nothing_is_kept_in_debug_and_testing_mode_or_if_that_is_configured(site: Site) -> None:
    for config in ({"DEBUG": True}, {"TESTING": True}, {"TEMPLATE_BYTECODE_CACHE": False}):
        site.config = config
        assert site.app().jinja_env.bytecode_cache is None


def test_the_cache_of_the_options_is_used(site: Site) -> None:
    app = site.app()
    cache = jinja2.FileSystemBytecodeCache(str(site.root))
    app.jinja_options = {"bytecode_cache": cache}
    assert app.jinja_env.bytecode_cache is cache


def test_the_folder_is_that_of_the_user(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site.config = {}
    cache = site.app().jinja_env.bytecode_cache
    assert isinstance(cache, BytecodeFiles)
    assert cache.folder == tmp_path / "cache" / "carboy" / "templates"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_of_user() == tmp_path / ".cache" / "carboy" / "templates"


@posix
def test_a_folder_that_others_can_change_is_not_used(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.kept.mkdir()
    site.kept.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        assert site.render() == "&lt;A"
    assert "other users can change" in caplog.text
    assert not site.files()
    # The folder for temporary files is used instead of that of the user.
    (site.kept / "carboy").mkdir()
    (site.kept / "carboy").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(site.kept))
    monkeypatch.setattr(template_files.tempfile, "gettempdir", lambda: str(site.root))
    assert folder_of_user() == site.root / f"carboy-{os.getuid()}" / "templates"


@posix
def test_a_file_that_others_can_change_is_not_read(site: Site, compiled: list[str]) -> None:
    site.render()
    site.files()[0].chmod(0o666)
    assert site.render() == "&lt;A"
    assert len(compiled) == 2


@pytest.mark.parametrize("content", [b"", b"x" * 200, None])
def test_a_damaged_file_is_written_again(
    site: Site, compiled: list[str], content: bytes | None
) -> None:
    site.render()
    file = site.files()[0]
    file.write_bytes(file.read_bytes()[:-20] if content is None else content)
    assert site.render() == site.render() == "&lt;A"
    assert len(compiled) == 2


def test_a_folder_that_cannot_be_made_is_not_an_error(site: Site) -> None:
    site.kept.write_text("a file")
    assert site.render() == "&lt;A"


def test_a_full_disk_is_not_an_error_and_leaves_no_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(template_files.Bucket, "write_bytecode", full)
    assert site.render() == "&lt;A"
    assert not site.files()


def test_the_oldest_files_are_removed(site: Site) -> None:
    app = site.app()
    app.jinja_options = {"bytecode_cache": BytecodeFiles(site.kept, limit=4)}
    for number in range(6):
        site.template.with_name(f"{number}.html").write_text(str(number))
    for number in range(6):
        app.jinja_env.get_template(f"{number}.html")
        for age, file in enumerate(sorted(site.files(), key=os.path.getmtime, reverse=True)):
            os.utime(file, (1_000_000 - age, 1_000_000 - age))
    assert len(site.files()) == 4
    app.jinja_env.bytecode_cache.clear()  # type: ignore[union-attr]
    assert not site.files()
