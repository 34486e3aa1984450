"""The same environs give the same results as with Werkzeug's middleware."""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest
import werkzeug.middleware.dispatcher
import werkzeug.middleware.profiler
import werkzeug.middleware.proxy_fix
import werkzeug.middleware.shared_data
from hypothesis import given
from hypothesis import strategies as st

from carboy.http import Response
from carboy.middleware import profiler
from carboy.middleware.dispatcher import DispatcherMiddleware
from carboy.middleware.profiler import ProfilerMiddleware
from carboy.middleware.proxy_fix import ProxyFix
from carboy.middleware.shared_data import SharedDataMiddleware
from carboy.testing import Client, create_environ

FORWARDED = {
    "FOR": ["1.2.3.4", "a,b", "a, b,c", "", '"q,x",y', " a\t", " ", ",", '"q"', '"q'],
    "PROTO": ["https", "https,http"],
    "HOST": ["h.example", "h:81", "[::1]:82", "[::1]", "a,b:9"],
    "PORT": ["99", "1,2"],
    "PREFIX": ["/p", "/p,/q"],
}


@given(
    st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in FORWARDED.items()}),
    st.fixed_dictionaries({f"x_{k.lower()}": st.integers(0, 2) for k in FORWARDED}),
    st.sampled_from([None, "s", "s:80", "[::1]:80", "[::1]"]),
)
def test_forwarded_headers_change_the_environ_as_werkzeug_does(
    headers: dict[str, str], trusted: dict[str, int], host: str | None
) -> None:
    environ = {"REMOTE_ADDR": "9.9.9.9", "wsgi.url_scheme": "http", "SERVER_NAME": "s"}
    environ |= {"SERVER_PORT": "80", "SCRIPT_NAME": "", "PATH_INFO": "/"}
    environ |= {f"HTTP_X_FORWARDED_{name}": value for name, value in headers.items()}
    if host is not None:
        environ["HTTP_HOST"] = host
    ours, theirs = dict(environ), dict(environ)
    ProxyFix(lambda environ, start: [], **trusted)(ours, None)
    werkzeug.middleware.proxy_fix.ProxyFix(lambda environ, start: [], **trusted)(theirs, None)
    assert ours == theirs


def test_a_client_cannot_forge_the_proxys_values() -> None:
    seen: dict[str, Any] = {}
    app = ProxyFix(lambda environ, start: seen.update(environ) or [])
    app(create_environ(headers={"X-Forwarded-For": "6.6.6.6, 1.2.3.4"}), None)
    assert seen["REMOTE_ADDR"] == "1.2.3.4"
    assert seen["werkzeug.proxy_fix.orig"]["REMOTE_ADDR"] is None


def mounted(name: str) -> Any:
    return lambda environ, start: (name, environ["SCRIPT_NAME"], environ["PATH_INFO"])


@given(
    st.sampled_from(["", "/", "/a", "/a/", "/a/b", "/a/b/c", "/x", "/ab", "//a", "a/b"]),
    st.sets(st.sampled_from(["/a", "/a/b", "/x", "", "/"])),
)
def test_mounts_are_chosen_as_werkzeug_does(path: str, mounts: set[str]) -> None:
    answers = []
    for middleware in (
        DispatcherMiddleware,
        werkzeug.middleware.dispatcher.DispatcherMiddleware,
    ):
        app: Any = middleware(mounted("root"), {each: mounted(each) for each in mounts})
        answers.append(app({"PATH_INFO": path, "SCRIPT_NAME": "/z"}, None))
    assert answers[0] == answers[1]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "style.css").write_text("body {}")
    (tmp_path / "folder" / "data.unknown-kind").write_bytes(b"\0")
    (tmp_path / "single.txt").write_text("alone")
    return tmp_path


def answer(app: Any, path: str, **headers: str) -> tuple[str, dict[str, str], bytes]:
    with Client(app).get(path, headers=headers) as response:
        kept = {k: v for k, v in response.headers.items() if k not in ("Date", "Expires")}
        return response.status, kept, response.data


PATHS = [
    "/shared/style.css",
    "/shared/data.unknown-kind",
    "/shared/missing",
    "/shared/../single.txt",
    "/shared",
    "/shared/",
    "/one",
    "/one/more",
    "/pack/wsgi.py",
    "/pack/../../x",
    "/elsewhere",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("options", [{}, {"cache": False}, {"disallow": "*.css"}], ids=str)
def test_files_are_shared_as_werkzeug_does(path: str, options: Any, files: Path) -> None:
    exports = {
        "/shared": str(files / "folder"),
        "/one": str(files / "single.txt"),
        "/pack": ("wsgiref", "."),
    }
    inner = Response("inner")
    ours = SharedDataMiddleware(inner, exports, **options)
    theirs = werkzeug.middleware.shared_data.SharedDataMiddleware(inner, exports, **options)
    one, two = answer(ours, path), answer(theirs, path)
    assert one == two
    if "Etag" in one[1]:
        assert answer(ours, path, **{"If-None-Match": one[1]["Etag"]})[0].startswith("304")


def test_files_in_an_archive_are_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("packed_for_sharing/__init__.py", "")
        archive.writestr("packed_for_sharing/static/a.txt", "from the archive")
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    app = SharedDataMiddleware(Response("inner"), {"/s": ("packed_for_sharing", "static")})
    assert Client(app).get("/s/a.txt").text == "from the archive"
    assert Client(app).get("/s/b.txt").text == "inner"


@pytest.mark.parametrize("wrong", [7, None])
def test_an_export_of_another_kind_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="an export is a folder"):
        SharedDataMiddleware(None, {"/x": wrong})


def test_a_profile_names_the_path_and_the_functions() -> None:
    stream = io.StringIO()

    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return slow_view()

    assert Client(ProfilerMiddleware(app, stream)).get("/page").data == b"body"
    assert "PATH: '/page'" in stream.getvalue()
    assert "slow_view" in stream.getvalue()


def slow_view() -> list[bytes]:
    return [b"body"]


@pytest.mark.parametrize("middleware", [profiler, werkzeug.middleware.profiler])
def test_the_profile_and_its_statistics_can_be_replaced_in_the_module(
    middleware: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped: list[object] = []
    printed: list[object] = []

    class Profile(cProfile.Profile):
        def dump_stats(self, file: object) -> None:
            dumped.append(file)

    class Stats(pstats.Stats):
        def print_stats(self, *amount: Any) -> Self:
            printed.append(amount)
            return self

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    monkeypatch.setattr(middleware, "Profile", Profile)
    monkeypatch.setattr(middleware, "Stats", Stats)
    app = middleware.ProfilerMiddleware(
        inner, io.StringIO(), (), (5,), "folder", lambda environ: environ["PATH_INFO"][1:]
    )
    Client(app).get("/name")
    assert (dumped, printed) == ([os.path.join("folder", "name")], [(5,)])  # noqa: PTH118


def test_profiles_are_written_to_files_with_the_given_names(tmp_path: Path) -> None:
    inner = Response("x")
    Client(ProfilerMiddleware(inner, None, profile_dir=str(tmp_path))).get("/a/b")
    (name,) = (each.name for each in tmp_path.iterdir())
    assert name.startswith("GET.a.b.")
    app = ProfilerMiddleware(
        inner,
        None,
        profile_dir=str(tmp_path),
        filename_format=lambda environ: f"{environ['werkzeug.profiler']['time']:.0f}.mine",
    )
    Client(app).get("/")
    assert any(each.name.endswith(".mine") for each in tmp_path.iterdir())
