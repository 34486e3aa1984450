"""Applications mounted at prefixes: which one gets a request, and what it sees of the path."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carboy
from carboy import Carboy, redirect, request, session, url_for
from carboy.gateway import for_application, mount
from carboy.gateway.interface import StartFailed
from carboy.gateway.mounts import Mounts, not_found, read_prefix
from carboy.testing import Client
from live_asgi import Message, Receive, Send, body, only_http, served_mounts, start, whole_body
from websocket_client import connected


def wsgi(name: str) -> Any:
    """A WSGI application that answers with its name and what it sees of the path."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        names = ("SCRIPT_NAME", "PATH_INFO", "REQUEST_URI")
        return [json.dumps([name, *(environ.get(each) for each in names)]).encode()]

    return app


def asgi(name: str) -> Any:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        seen = [name, scope["root_path"], scope["path"], scope["raw_path"].decode("latin-1")]
        await send(start())
        await send(body(json.dumps(seen).encode()))

    return app


def flask(name: str) -> Carboy:
    app = Carboy(name)
    app.secret_key = "a key"

    @app.route("/", methods=["GET", "POST"])
    @app.route("/<path:rest>")
    def view(rest: str = "") -> Any:
        return [name, request.root_path, request.path, request.url]

    @app.get("/go")
    def go() -> Any:
        session["seen"] = True
        return redirect(url_for("view", rest="there"))

    return app


def names_of(mounts: Mounts) -> dict[str, str]:
    return {each.prefix: each.app.__name__ for each in mounts.mounts}


# --- prefixes


@pytest.mark.parametrize(
    ("written", "prefix"),
    [
        ("/api", "/api"), ("/api/", "/api"), ("/api/v1", "/api/v1"), ("/a b", "/a b"),
        ("/a%20b", "/a b"), ("/café", "/café"), ("/caf%C3%A9", "/café"), ("/100%25", "/100%"),
    ],
)  # fmt: skip
def test_a_prefix_is_decoded(written: str, prefix: str) -> None:
    assert read_prefix(written) == prefix


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("api", "does not start with a slash"), ("", "does not start with a slash"),
        ("/", "root application"), ("//", "root application"), ("//api", "empty or a dot"),
        ("/a//b", "empty or a dot"), ("/../x", "empty or a dot"), ("/%2e", "empty or a dot"),
        ("/a%2Fb", "an encoded slash"), ("/100%", "Write it as %25"), ("/a?b", "cannot be in"),
        ("/a#b", "cannot be in"), ("/a%00", "cannot be in"), ("/a%FF", "not UTF-8"),
        (None, "does not start with a slash"),
    ],
)  # fmt: skip
def test_a_prefix_that_cannot_be_used_is_an_error(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_prefix(written)


def test_two_applications_at_one_prefix_are_an_error() -> None:
    with pytest.raises(ValueError, match="Two applications are mounted at /caf%C3%A9"):
        mount(None, {"/café": wsgi("a"), "/caf%C3%A9/": wsgi("b")})


def test_an_application_cannot_be_mounted_on_itself() -> None:
    app = wsgi("a")
    with pytest.raises(ValueError, match="is mounted on itself, at /a"):
        mount(app, {"/a": app})


def test_the_prefix_of_something_that_is_not_an_application_is_named() -> None:
    with pytest.raises(TypeError, match="Mounted at /a: 7 is not a WSGI application"):
        mount(None, {"/a": 7})
    with pytest.raises(TypeError, match="^7 is not a WSGI application"):
        mount(7, {"/a": wsgi("a")})


def test_an_interface_is_one_that_is_known_and_belongs_to_a_prefix() -> None:
    with pytest.raises(ValueError, match="'cgi' is not an interface"):
        mount(None, {"/a": wsgi("a")}, interfaces={"/a": "cgi"})
    with pytest.raises(ValueError, match="No application is mounted at /b"):
        mount(None, {"/a": wsgi("a")}, interfaces={"/b": "asgi"})


# --- the mount for a path


def test_mounts_of_mounts_are_at_both_prefixes() -> None:
    def one(environ: Any, start_response: Any) -> Any: ...
    def two(environ: Any, start_response: Any) -> Any: ...
    def three(environ: Any, start_response: Any) -> Any: ...

    inner = mount(one, {"/x": two})
    assert names_of(mount(None, {"/a": inner})) == {"/a": "one", "/a/x": "two"}
    outer = mount(inner, {"/y": three})
    assert outer.root.app is one
    assert names_of(outer) == {"/x": "two", "/y": "three"}
    nothing = mount(one, {"/a": mount(None, {"/x": two})})
    assert nothing.find("/a/z")[0].app is not_found


SEGMENT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), max_size=3)


@given(st.lists(SEGMENT, min_size=1, max_size=4), st.data())
def test_a_prefix_fits_whole_segments_however_they_are_encoded(
    segments: list[str], data: st.DataObject
) -> None:
    """The reference: the decoded segments of the path begin with those of the prefix."""
    known = {"/a": ["a"], "/a/é": ["a", "é"], "/b c": ["b c"]}
    mounts = mount(None, {prefix: wsgi(prefix) for prefix in known})
    segments = data.draw(st.sampled_from([["a"], ["a", "é"], ["b c"], []])) + segments
    path = "".join(f"/{data.draw(st.sampled_from(ways(part)))}" for part in segments)
    found, size = mounts.find(path)
    fitting = [prefix for prefix, parts in known.items() if segments[: len(parts)] == parts]
    assert found.prefix == max(fitting, key=len, default="")
    assert path[:size].count("/") == found.prefix.count("/")
    assert path[size : size + 1] in ("", "/")


def ways(segment: str) -> list[str]:
    """Ways to write a segment in a path: encoded as usual, and every byte of it."""
    every = "".join(f"%{byte:02x}" for byte in segment.encode())
    return [quote(segment, safe=""), every]


# --- what each kind of application sees


@pytest.fixture(scope="module")
def live() -> Any:
    root = mount(
        flask("root"),
        {
            "/w": wsgi("w"), "/w/deep": wsgi("deep"), "/s": asgi("s"), "/f": flask("f"),
            "/café": wsgi("café"), "/é": asgi("é"), "/ü": flask("ü"),
        },
    )  # fmt: skip
    with served_mounts(root) as served:
        yield served


def seen(live: Any, path: str) -> Any:
    reply = live.get(path)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/w", ["w", "/w", "", "/w"]),
        ("/w/", ["w", "/w", "/", "/w/"]),
        ("/w/a%20b?q=1", ["w", "/w", "/a b", "/w/a%20b?q=1"]),
        ("/w//x", ["w", "/w", "//x", "/w//x"]),
        ("/w/deep/x", ["deep", "/w/deep", "/x", "/w/deep/x"]),
        ("/w/deeper", ["w", "/w", "/deeper", "/w/deeper"]),
        ("/%77/%64eep/%78", ["deep", "/w/deep", "/x", "/%77/%64eep/%78"]),
        ("/caf%C3%A9/x", ["café", "/caf\xc3\xa9", "/x", "/caf%C3%A9/x"]),
    ],
)  # fmt: skip
def test_wsgi_gets_the_prefix_as_script_name(live: Any, path: str, expected: Any) -> None:
    assert seen(live, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/s", ["s", "/s", "/s", "/s"]),
        ("/s/", ["s", "/s", "/s/", "/s/"]),
        ("/s/a%20b?q=1", ["s", "/s", "/s/a b", "/s/a%20b"]),
        ("/%73/x", ["s", "/s", "/s/x", "/%73/x"]),
        ("/%C3%A9/x", ["é", "/é", "/é/x", "/%C3%A9/x"]),
    ],
)
def test_asgi_gets_the_prefix_as_root_path_and_in_the_path(
    live: Any, path: str, expected: Any
) -> None:
    assert seen(live, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/f/", ["f", "/f", "/", "http://example.test/f/"]),
        ("/f/x%20y?q=1", ["f", "/f", "/x y", "http://example.test/f/x%20y?q=1"]),
        ("/%C3%BC/x", ["ü", "/ü", "/x", "http://example.test/ü/x"]),
        ("/fx", ["root", "", "/fx", "http://example.test/fx"]),
        ("/w%2Fx", ["root", "", "/w/x", "http://example.test/w/x"]),
        ("/", ["root", "", "/", "http://example.test/"]),
    ],
)
def test_a_carboy_application_gets_the_prefix_as_root_path(
    live: Any, path: str, expected: Any
) -> None:
    assert seen(live, path) == expected


def test_redirects_and_url_for_have_the_prefix(live: Any) -> None:
    assert live.get("/f/go").headers["Location"] == "/f/there"
    assert live.get("/go").headers["Location"] == "/there"
    reply = live.get("/f?q=1")
    assert (reply.status, reply.headers["Location"]) == (308, "http://example.test/f/?q=1")


def test_both_lanes_of_a_mounted_application_answer_the_same() -> None:
    app = flask("f")
    app.wsgi_app = Passing(app.wsgi_app)  # type: ignore[method-assign]
    with served_mounts(mount(None, {"/f": app, "/g": flask("f")})) as live:
        for path in ("", "/", "/x%20y?q=1", "//x", "/go", "/%C3%BC?q=%ff"):
            wrapped, direct = live.get(f"/f{path}"), live.get(f"/g{path}")
            assert wrapped.status == direct.status
            assert wrapped.body.replace(b"/f", b"/g") == direct.body
            location = wrapped.headers["Location"]
            assert location is None or location.replace("/f", "/g") == direct.headers["Location"]


class Passing:
    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, *args: Any) -> Any:
        return self.app(*args)


def test_the_path_of_cookies_is_that_of_the_configuration_as_in_flask() -> None:
    app = flask("f")
    app.config["APPLICATION_ROOT"] = "/f"
    with served_mounts(mount(flask("root"), {"/f": app})) as live:
        assert "Path=/f" in live.get("/f/go").headers["Set-Cookie"]
        assert live.get("/go").headers["Set-Cookie"].endswith("Path=/")


def test_without_a_root_application_other_paths_are_not_found() -> None:
    with served_mounts(mount(None, {"/w": wsgi("w")})) as live:
        reply = live.get("/x")
        assert reply.status == 404
        assert b"No application is served at this path." in reply.body
        with live.client() as client:
            client.request("HEAD", "/x")
            assert client.reply("HEAD").body == b""
        assert seen(live, "/w/x") == ["w", "/w", "/x", "/w/x"]


def test_a_mounted_carboy_application_stays_on_the_direct_lane() -> None:
    app = Carboy("direct")
    lanes: list[bool] = []

    @app.get("/lane")
    def lane() -> str:
        lanes.append(request._get_current_object()._exchange is not None)  # type: ignore[attr-defined]
        return request.root_path

    with served_mounts(mount(wsgi("root"), {"/f": app})) as live:
        assert live.get("/f/lane").body == b"/f"
    assert lanes == [True]


async def speaks(scope: Message, receive: Receive, send: Send) -> None:
    """Sends what it sees of the path over a WebSocket."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['root_path']} {scope['path']}"})
    await send({"type": "websocket.close"})


def test_a_websocket_of_a_mounted_application_gets_the_prefix() -> None:
    mounts = mount(wsgi("root"), {"/api": speaks})
    with served_mounts(mounts) as live, connected(live, "/api/chat") as websocket:
        assert websocket.message() == "/api /api/chat"


# --- limits, dispatch keys, lifespans


def test_the_applications_have_limits_of_their_own() -> None:
    """A view reads content above MAX_CONTENT_LENGTH itself, and ASGI reads through its channel."""
    small = flask("small")
    small.config["MAX_CONTENT_LENGTH"] = 10

    @small.post("/data")
    def data() -> Any:
        return {"size": len(request.get_data())}

    @only_http
    async def reads(scope: Message, receive: Receive, send: Send) -> None:
        size = len(await whole_body(receive))
        await send(start())
        await send(body(b"%d" % size))

    def content(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"%d" % len(environ["wsgi.input"].read())]

    mounts = mount(small, {"/s": reads, "/w": content})
    with served_mounts(mounts) as live, live.client() as client:
        client.request("POST", "/s", body=b"x" * 100_000)
        assert client.reply().body == b"100000"
        client.request("POST", "/w", body=b"x" * 100_000)
        assert client.reply().body == b"100000"
        client.request("POST", "/data", body=b"x" * 10)
        assert json.loads(client.reply().body) == {"size": 10}
        client.request("POST", "/data", body=b"x" * 11)
        assert client.reply().status == 413


def test_the_same_path_of_two_applications_has_two_dispatch_keys() -> None:
    from exchanges import received

    gateway = for_application(mount(wsgi("a"), {"/x": wsgi("b"), "/y": flask("c")}))
    keys = set()
    for path in ("/", "/x/", "/y/"):
        exchange = received(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        keys.add(gateway.prepare(exchange))
    assert len(keys) == 3


class Lifespan:
    """An ASGI application that notes its lifespan."""

    def __init__(self, name: str, noted: list[str], fails: bool = False) -> None:
        self.name, self.noted, self.fails = name, noted, fails

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            if self.fails:
                raise ConnectionError("no database")
            scope["state"]["name"] = self.name
            self.noted.append(f"start {self.name}")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.noted.append(f"stop {self.name}")
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(start())
        await send(body(scope["state"]["name"].encode()))


def test_each_application_has_one_lifespan_and_its_own_state() -> None:
    noted: list[str] = []
    a, b = Lifespan("a", noted), Lifespan("b", noted)
    with served_mounts(mount(a, {"/b": b, "/c": b, "/w": wsgi("w")})) as live:
        assert noted == ["start a", "start b"]
        assert [live.get(path).body for path in ("/", "/b", "/c")] == [b"a", b"b", b"b"]
    assert noted == ["start a", "start b", "stop b", "stop a"]


def test_an_application_that_fails_to_start_stops_the_start_with_its_name() -> None:
    noted: list[str] = []
    mounts = mount(
        Lifespan("a", noted), {"/b": Lifespan("b", noted), "/c": Lifespan("c", noted, fails=True)}
    )
    gateway: Any = for_application(mounts, "auto", "asyncio")
    with pytest.raises(StartFailed) as raised:
        gateway.start()
    assert str(raised.value).startswith("The application mounted at /c failed to start: Traceback")
    assert "ConnectionError: no database" in str(raised.value)
    assert noted == ["start a", "start b", "stop b", "stop a"]


def test_the_interface_of_one_application_can_be_chosen() -> None:
    def both(*args: Any) -> Any:
        if len(args) == 2:
            return wsgi("as wsgi")(*args)
        return asgi("as asgi")(*args)

    mounts = mount(None, {"/a": both, "/b": both}, interfaces={"/a": "asgi"})
    with served_mounts(mounts) as live:
        assert seen(live, "/a")[0] == "as asgi"
        assert seen(live, "/b")[0] == "as wsgi"


# --- in Python


def test_the_test_client_reaches_mounted_applications() -> None:
    client = Client(carboy.mount(flask("root"), {"/f": flask("f"), "/w": wsgi("w")}))
    assert client.get("/f/x").json == ["f", "/f", "/x", "http://localhost/f/x"]
    assert client.get("/x").json == ["root", "", "/x", "http://localhost/x"]
    assert client.get("/w/x").get_json(force=True)[:3] == ["w", "/w", "/x"]
    assert client.get("/f/go", follow_redirects=True).json[2] == "/there"


def test_the_test_client_reaches_asgi_applications_and_their_state() -> None:
    noted: list[str] = []
    app = Lifespan("a", noted)
    client = Client(carboy.mount(flask("root"), {"/s": asgi("s"), "/a": app, "/b": app}))
    assert client.get("/s/x?q=1").get_json(force=True) == ["s", "/s", "/s/x", "/s/x"]
    assert [client.get(path).text for path in ("/a", "/b/x")] == ["a", "a"]
    assert noted == ["start a"]


def test_the_test_client_raises_the_exception_of_an_asgi_application() -> None:
    @only_http
    async def fails(scope: Message, receive: Receive, send: Send) -> None:
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        Client(mount(None, {"/s": fails})).get("/s")


def test_the_repr_names_the_applications() -> None:
    text = repr(mount(None, {"/s": asgi("s"), "/w": flask("w")}))
    assert text.startswith("<Mounts on nothing, /s: ")
    assert text.endswith("/w: w>")
