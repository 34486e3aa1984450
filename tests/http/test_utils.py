"""Helpers compared with Werkzeug: file names, redirects, imports, properties, hosts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import werkzeug.user_agent
import werkzeug.utils
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from carboy import http as utils
from carboy.http.fields.user_agent import UserAgent
from carboy.http.properties import lazy
from carboy.http.request.url import get_host, host_is_trusted
from carboy.http.response.response import Response
from carboy.http.wsgi import run_wsgi_app


@given(st.text(max_size=30))
def test_a_file_name_is_made_safe_as_in_werkzeug(name: str) -> None:
    assert utils.secure_filename(name) == werkzeug.utils.secure_filename(name)


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "i contain cool ümläuts.txt", "CON.txt", "__init__.py", "ﬁ.txt",
     "a/b\\c", "..", ".hidden", "", "日本.txt", "a\0b", "\ta\n", "-x-", "a..b"],
)  # fmt: skip
def test_an_unusual_file_name_is_made_safe_as_in_werkzeug(name: str) -> None:
    assert utils.secure_filename(name) == werkzeug.utils.secure_filename(name)


def test_a_device_name_is_changed_on_windows() -> None:
    assert utils.secure_filename("con.txt", _windows=True) == "_con.txt"
    assert utils.secure_filename("console.txt", _windows=True) == "console.txt"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/x", "http://é/ü?a=b&c=d#\"<'", "x y", "javascript:1"])
def test_a_redirect_has_the_page_of_werkzeug(location: str, code: int) -> None:
    ours = utils.redirect(location, code)
    theirs = werkzeug.utils.redirect(location, code)
    assert (ours.status, ours.data, list(ours.headers)) == (
        theirs.status,
        theirs.data,
        list(theirs.headers),
    )


def test_the_class_of_a_redirect_can_be_changed() -> None:
    class Own(Response):
        pass

    assert type(utils.redirect("/x", Response=Own)) is Own


@pytest.mark.parametrize("path", ["/a", "/a/b", "/a/b/", "", "/", "//evil.example/a", "/a//"])
@pytest.mark.parametrize("query", ["", "x=1&y=%20"])
def test_a_slash_is_appended_as_in_werkzeug(path: str, query: str) -> None:
    environ = {**create_environ("/"), "PATH_INFO": path, "QUERY_STRING": query}
    ours = utils.append_slash_redirect(environ)
    theirs = werkzeug.utils.append_slash_redirect(environ)
    assert (ours.status, ours.location) == (theirs.status, theirs.location)


def test_a_slash_is_appended_to_a_path_that_is_not_ascii() -> None:
    # Werkzeug decodes each byte as a character.
    environ = {**create_environ("/"), "PATH_INFO": "/ü".encode().decode("latin-1")}
    response = utils.append_slash_redirect(environ)
    assert response.get_wsgi_headers(environ)["Location"] == "%C3%BC/"


@pytest.mark.parametrize(
    "name", ["os.path", "os:path", "os.path:join", "xml.dom.minidom:parse", "json.decoder", "os"]
)
def test_a_name_is_imported_as_in_werkzeug(name: str) -> None:
    assert utils.import_string(name) is werkzeug.utils.import_string(name)


@pytest.mark.parametrize("name", ["nope", "os.nope", "os.path.nope.x", "os:", "os.path:nope"])
def test_the_error_of_a_missing_name_has_the_part_that_was_imported(name: str) -> None:
    with pytest.raises(utils.ImportStringError) as caught:
        utils.import_string(name)
    with pytest.raises(werkzeug.utils.ImportStringError) as theirs:
        werkzeug.utils.import_string(name)
    assert caught.value.import_name == theirs.value.import_name
    assert type(caught.value.exception) is type(theirs.value.exception)
    assert utils.import_string(name, silent=True) is None


BROKEN = {
    "lacks_module": "import nothere_xyz",
    "lacks_name": "from os import nosuch",
    "imports_itself_wrongly": "import broken_pkg.lacks_module",
    "raises": "raise ImportError('plain text')",
}


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with modules whose code cannot be imported."""
    folder = tmp_path / "broken_pkg"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name, source in BROKEN.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "broken_pkg"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", [*BROKEN, "lacks_module.X", "lacks_module:X", "nosuch"])
def test_a_failing_import_in_a_module_is_reported_as_in_werkzeug(
    name: str, broken_package: None
) -> None:
    with pytest.raises(utils.ImportStringError) as caught:
        utils.import_string(f"broken_pkg.{name}")
    with pytest.raises(werkzeug.utils.ImportStringError) as theirs:
        werkzeug.utils.import_string(f"broken_pkg.{name}")
    assert type(caught.value.exception) is type(theirs.value.exception)
    assert str(caught.value.exception) == str(theirs.value.exception)
    assert str(theirs.value.exception) in str(caught.value)
    assert utils.import_string(f"broken_pkg.{name}", silent=True) is None


def test_the_error_mentions_the_spelling_only_if_the_name_is_missing(broken_package: None) -> None:
    def told(name: str) -> str:
        with pytest.raises(utils.ImportStringError) as caught:
            utils.import_string(f"broken_pkg.{name}")
        return str(caught.value)

    assert "Check the spelling" in told("nosuch")
    assert "Check the spelling" in told("nosuch.deeper")
    assert "Check the spelling" not in told("lacks_module")
    assert "Check the spelling" not in told("raises")


@pytest.mark.parametrize("options", [{}, {"include_packages": True}, {"recursive": True}], ids=str)
def test_the_modules_of_a_package_are_those_of_werkzeug(options: dict[str, bool]) -> None:
    assert list(utils.find_modules("xml", **options)) == list(
        werkzeug.utils.find_modules("xml", **options)
    )


def test_a_module_has_no_modules() -> None:
    with pytest.raises(ValueError):
        list(utils.find_modules("os"))


@given(
    st.sampled_from(["text/", "application/", "image/", ""]), st.text("abxml+/;-sql", max_size=9)
)
def test_a_content_type_gets_a_charset_as_in_werkzeug(kind: str, name: str) -> None:
    mimetype = kind + name
    assert utils.get_content_type(mimetype, "utf-8") == werkzeug.utils.get_content_type(
        mimetype, "utf-8"
    )


# properties


@pytest.mark.parametrize("module", [utils, werkzeug.utils])
def test_a_cached_property_is_computed_once_and_can_be_set_and_deleted(module: Any) -> None:
    class Thing:
        runs = 0

        @module.cached_property
        def value(self) -> int:
            "text"
            self.runs += 1
            return self.runs

    thing = Thing()
    assert (thing.value, thing.value) == (1, 1)
    thing.value = 5
    assert thing.value == 5
    del thing.value
    assert thing.value == 2
    assert isinstance(Thing.__dict__["value"], property)
    assert Thing.value.__doc__ == "text"


@pytest.mark.parametrize("module", [utils, werkzeug.utils])
def test_a_cached_property_works_with_slots(module: Any) -> None:
    class Slotted:
        __slots__ = ("_cache_value", "runs")

        @module.cached_property
        def value(self) -> int:
            self.runs += 1
            return self.runs

    thing = Slotted()
    thing.runs = 0
    assert (thing.value, thing.value) == (1, 1)
    thing.value = 7
    assert thing.value == 7
    del thing.value
    assert thing.value == 2


class Holder:
    def __init__(self, **values: Any) -> None:
        self.environ = values
        self.headers = values


@pytest.mark.parametrize("module", [utils, werkzeug.utils])
def test_an_environ_property_is_read_only_by_default(module: Any) -> None:
    class Thing(Holder):
        plain = module.environ_property("key", "default")
        number = module.environ_property("number", 7, int, str, read_only=False, doc="text")

    thing = Thing()
    assert (thing.plain, thing.number) == ("default", 7)
    with pytest.raises(AttributeError):
        thing.plain = "x"
    with pytest.raises(AttributeError):
        del thing.plain
    thing.number = 12
    assert (thing.environ, thing.number) == ({"number": "12"}, 12)
    thing.environ["number"] = "x"
    assert thing.number == 7
    del thing.number
    assert thing.environ == {}
    assert repr(Thing.plain) == "<environ_property key>"
    assert Thing.number.__doc__ == "text"


@pytest.mark.parametrize("module", [utils, werkzeug.utils])
def test_a_header_property_can_be_written_by_default(module: Any) -> None:
    class Thing(Holder):
        free = module.header_property("a")
        fixed = module.header_property("b", read_only=True)

    thing = Thing(b="2")
    thing.free = "1"
    assert (thing.headers, thing.fixed) == ({"a": "1", "b": "2"}, "2")
    with pytest.raises(AttributeError):
        thing.fixed = "x"
    del thing.free
    assert thing.free is None


def test_a_lazy_attribute_is_in_the_instance_after_the_first_access() -> None:
    class Thing:
        runs = 0

        @lazy
        def value(self) -> int:
            "text"
            self.runs += 1
            return self.runs

    thing = Thing()
    assert (thing.value, thing.value, vars(thing)["value"]) == (1, 1, 1)
    assert Thing.value.__doc__ == "text"


# hosts

HOSTS = [
    "", "a", "A.b", "a:80", "a:443", "a:8080", "a:", "a:0", "a:99999", "a:65535", "a:65536",
    "a:080", "a_b", "a-b", "-a", "a..b", ".a", "a.", "1.2.3.4", "1.2.3.4:80", "[::1]", "[::1]:80",
    "[::g]", "::1", "[::1", "[1.2.3.4]", "[v1.x]", "a b", "a/b", "a@b", "a%20", "ü", "a,b", "a\tb",
    "a\n", "*", "[::1]x", "[fe80::1%25eth0]", "x" * 300, "a?b", "a#b", "a\\b", 'a"b', "a<b", "a:+1",
    "a:٣", "[::ffff:1.2.3.4]:443",
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss", "x"])
def test_a_host_is_parsed_as_in_werkzeug(scheme: str) -> None:
    from werkzeug.sansio.utils import get_host as theirs

    for host in HOSTS:
        assert get_host(scheme, host) == theirs(scheme, host), host
    for server in [None, ("x", 80), ("x", 443), ("x", None), ("x", 0), ("::1", 8080), ("/s", None)]:
        assert get_host(scheme, None, server) == theirs(scheme, None, server), server


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("a", ["a"]), ("a:80", ["a"]), ("b.a", [".a"]), ("a", [".a"]), ("b.a", ["a"]),
        ("a:80", ["a:80"]), ("a:80", ["a:81"]), ("", [""]), ("x", []), (None, ["a"]),
        ("xn--tda.com", ["ü.com"]), ("a", "a"), ("c.b.a", [".a"]), ("xa", [".a"]), ("a.", ["a"]),
        ("b ad", ["b ad"]), ("a:x", ["a"]), ("1.2.3.4:5", ["1.2.3.4"]), ("a", ["b", "a"]),
    ],
)  # fmt: skip
def test_a_host_is_trusted_as_in_werkzeug(host: str | None, trusted: Any) -> None:
    from werkzeug.sansio.utils import host_is_trusted as theirs

    assert host_is_trusted(host, trusted) == theirs(host, trusted)


def test_an_ipv6_address_can_be_trusted() -> None:
    # Werkzeug splits the address at its first colon, so it never matches.
    assert host_is_trusted("[::1]:80", ["[::1]"])
    assert not host_is_trusted("[::2]", ["[::1]"])


def test_a_user_agent_is_not_parsed() -> None:
    for cls in (UserAgent, werkzeug.user_agent.UserAgent):
        agent = cls("Mozilla/5.0")
        assert (str(agent), agent.to_header(), agent.string) == ("Mozilla/5.0",) * 3
        assert (agent.platform, agent.browser, agent.version, agent.language) == (None,) * 4
        assert not agent


# calling an application


@pytest.mark.parametrize("buffered", [False, True])
def test_an_application_that_writes_and_yields_is_closed(buffered: bool) -> None:
    closed = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(1)

    def app(environ: Any, start_response: Any) -> Body:
        start_response("200 OK", [("X-A", "b")])(b"written ")
        return Body([b"and ", b"yielded"])

    body, status, headers = run_wsgi_app(app, {}, buffered)
    assert b"".join(body) == b"written and yielded"
    assert (status, headers["X-A"], len(closed)) == ("200 OK", "b", int(buffered))
    if not buffered:
        body.close()  # type: ignore[attr-defined]
        assert closed == [1]


def test_a_generator_may_start_its_response_with_its_first_piece() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"late"

    body, status, _ = run_wsgi_app(app, {})
    assert (list(body), status) == ([b"late"], "200 OK")


def test_an_application_without_start_response_is_an_error() -> None:
    for buffered in (False, True):
        with pytest.raises(RuntimeError):
            run_wsgi_app(lambda environ, start_response: [b"x"], {}, buffered)


def test_an_error_after_the_start_is_raised() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        import sys

        start_response("200 OK", [])
        try:
            raise KeyError("inside")
        except KeyError:
            start_response("500 Oh", [], sys.exc_info())
        return []

    with pytest.raises(KeyError):
        run_wsgi_app(app, {})


# the cost of importing


def test_importing_requests_and_responses_loads_no_rarely_needed_module() -> None:
    import subprocess
    import sys

    seldom = "email http hashlib hmac mimetypes tempfile inspect socket"
    code = (
        "import sys; before = set(sys.modules);"
        "import carboy.http.response.sending, carboy.http.local;"
        f"print(sorted(set({seldom.split()!r}) & (set(sys.modules) - before)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
