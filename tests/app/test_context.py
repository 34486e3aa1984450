"""Contexts: pushing, nesting, copying and popping."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from functools import partial

import pytest


def test_outside_a_context_the_proxies_say_what_to_do(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        for proxy in (fl.current_app, fl.g, fl.request, fl.session, fl.app_ctx, fl.request_ctx):
            assert not proxy
            with pytest.raises(RuntimeError):
                proxy.anything  # noqa: B018
            with pytest.raises(RuntimeError):
                proxy._get_current_object()
        assert not fl.has_app_context()
        assert not fl.has_request_context()
        assert "unbound" in repr(fl.request)


def test_the_namespace_of_a_context(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        with fl.Flask("s").app_context():
            g = fl.g
            g.a = 1
            rows = [g.get("a"), g.get("b", 2), "a" in g, "b" in g, sorted(g), g.setdefault("c", 3)]
            rows += [g.pop("a"), g.pop("a", None), hasattr(g, "a")]
            del g.c
            rows.append(list(g))
            for wrong in (lambda: g.none, lambda: g.pop("none"), lambda: g.__delattr__("none")):
                with pytest.raises((AttributeError, KeyError)) as caught:
                    wrong()
                rows.append(caught.type.__name__)
            found.append(rows)
    assert found[0] == found[1]


@pytest.fixture
def scene(pair):
    """Compare what a function logs for Flask and for Carboy."""

    def check(act):
        logs = []
        for fl in (pair.flask, pair.carboy):
            log: list[object] = []
            app = fl.Flask("scenario")
            app.secret_key = "k"
            app.teardown_request(lambda exc, log=log: log.append(f"request {exc!r}"))
            app.teardown_appcontext(lambda exc, log=log: log.append(f"app {exc!r}"))
            app.add_url_rule("/", "v", lambda: "v")
            app.add_url_rule("/<int:n>", "n", lambda n: "n")
            act(
                fl,
                app,
                log,
                lambda app, path="/": app.request_context(pair.environ_of(pair.Req(path))),
            )
            assert not fl.has_request_context()
            assert not fl.has_app_context()
            logs.append(log)
        assert logs[0] == logs[1]
        assert logs[0]

    return check


def test_an_application_context_is_pushed_and_popped(scene) -> None:
    def act(fl, app, log, request):
        with app.app_context() as ctx:
            log.append(fl.current_app._get_current_object() is app)
            log.append(fl.app_ctx._get_current_object() is ctx)
            fl.g.x = 1
            with app.app_context():
                log.append(fl.g.get("x"))
            log.append(fl.g.x)

    scene(act)


def test_an_exception_reaches_the_teardown_functions(scene) -> None:
    def act(fl, app, log, request):
        for make in (app.app_context, lambda: request(app)):
            try:
                with make():
                    raise KeyError("x")
            except KeyError:
                log.append("raised")
            ctx = make()
            ctx.push()
            try:
                raise IndexError
            except IndexError:
                ctx.pop()
            ctx.push()
            ctx.pop(None)

    scene(act)


def test_a_request_context_pushes_an_application_context(scene) -> None:
    def act(fl, app, log, request):
        with request(app, "/7?a=1"):
            log.append((fl.request.view_args, fl.request.endpoint, fl.request.args["a"]))
            log.append(fl.current_app._get_current_object() is app)
            fl.session["x"] = 1
            log.append(fl.session.modified)
            with request(app, "/8"):
                log.append((fl.request.view_args, "x" in fl.session))
            log.append(fl.request.view_args)

    scene(act)


def test_a_request_in_an_application_context_shares_it(scene) -> None:
    def act(fl, app, log, request):
        with app.app_context():
            fl.g.x = 1
            with request(app):
                log.append(fl.g.x)
            log.append("between")

    scene(act)


def test_two_applications_nest(scene) -> None:
    def act(fl, app, log, request):
        other = fl.Flask("other")
        other.teardown_appcontext(lambda exc: log.append("other app"))
        with request(app, "/1"):
            with other.app_context():
                log.append((fl.current_app.name, fl.request.path))
                with request(other, "/2"):
                    log.append((fl.current_app.name, fl.request.path))
            log.append((fl.current_app.name, fl.request.path))

    scene(act)


def test_contexts_popped_in_the_wrong_order_are_reported(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("scenario")

        def act(app=app):
            first, second = app.app_context(), app.app_context()
            first.push()
            second.push()
            with pytest.raises(AssertionError):
                first.pop()

        copy_context().run(act)


def test_one_context_may_be_pushed_several_times(scene) -> None:
    def act(fl, app, log, request):
        ctx = request(app)
        with ctx:
            log.append("once")
            with ctx:
                log.append("twice")
            log.append("once again")
        log.append("out")
        with ctx:
            log.append("reused")

    scene(act)


def test_a_copied_context_works_in_a_thread(scene) -> None:
    def act(fl, app, log, request):
        with request(app, "/3"):
            fl.session["a"] = 1
            fl.g.x = 1

            @fl.copy_current_request_context
            def work(n):
                log.append((n, fl.request.path, fl.session["a"], fl.g.get("x")))

            thread = threading.Thread(target=work, args=(5,))
            thread.start()
            thread.join()
            log.append(work.__name__)

    scene(act)


def test_functions_that_need_a_request_say_so(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        with pytest.raises(RuntimeError):
            fl.after_this_request(lambda response: response)
        with pytest.raises(RuntimeError):
            fl.copy_current_request_context(lambda: None)
        with pytest.raises(RuntimeError):
            fl.url_for("x")


@pytest.mark.parametrize("lane", ["wsgi", "direct"])
def test_threads_and_copied_contexts_inside_a_view(pair, lane) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"
        app.teardown_request(lambda exc: log.append("teardown"))

        @app.route("/<name>")
        def view(name):
            fl.g.name = name
            log.append(fl.current_app.name)

            def seen():
                log.append((fl.has_request_context(), fl.has_app_context()))

            thread = threading.Thread(target=seen)
            thread.start()
            thread.join()
            context = copy_context()
            log.append(context.run(lambda: fl.request.path))
            log.append(context.run(lambda: fl.g.name))
            work = fl.copy_current_request_context(lambda: log.append(fl.request.view_args))
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            with app.app_context():
                log.append(fl.g.get("name"))
            return name

        return app

    pair(build, "/a", "/b", status=200)


def test_requests_in_many_threads_do_not_see_each_other(pair, fl) -> None:
    app = fl.Flask("scenario")
    app.secret_key = "k"
    barrier = threading.Barrier(8)

    @app.route("/<int:n>")
    def view(n):
        fl.g.n = n
        fl.session["n"] = n
        barrier.wait(30)
        same = fl.g.n == fl.session["n"] == n == int(fl.request.path[1:])
        return str(same)

    for call in (pair.call_wsgi, pair.call_direct):
        found: list[bytes] = []
        threads = [
            threading.Thread(
                target=lambda n=n, call=call: found.append(call(app, pair.Req(f"/{n}")).body)
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [b"True"] * 8


def test_tasks_of_an_event_loop_do_not_see_each_other(fl) -> None:
    app = fl.Flask("scenario")

    async def work(n, met):
        with app.app_context():
            fl.g.n = n
            met.append(n)
            await asyncio.sleep(0)
            return fl.g.n

    async def both():
        met: list[int] = []
        return await asyncio.gather(*(work(n, met) for n in range(5)))

    assert asyncio.run(both()) == [0, 1, 2, 3, 4]


def test_a_request_inside_a_view_of_another_application(pair) -> None:
    def build(fl, log):
        inner = fl.Flask("inner")
        inner.add_url_rule("/in", "v", lambda: f"{fl.current_app.name} {fl.request.path}")
        app = fl.Flask("scenario")

        @app.route("/")
        def view():
            body = pair.call_wsgi(inner, pair.Req("/in")).body.decode()
            return f"{body} in {fl.current_app.name} {fl.request.path}"

        return app

    (seen,) = pair(build, "/", status=200)
    assert seen.body == b"inner /in in scenario /"


def test_the_environ_does_not_refer_to_the_request_after_its_end(pair, fl) -> None:
    app = fl.Flask("scenario")
    app.add_url_rule("/", "v", lambda: fl.request.environ["PATH_INFO"])
    environ = pair.environ_of(pair.Req("/"))
    assert b"".join(app(environ, lambda status, headers: None)) == b"/"
    assert environ["werkzeug.request"] is None
    exchange = pair.FakeExchange(pair.Req("/"))
    app.direct_prepare(exchange)
    assert app.direct_handle(exchange)[2] == b"/"
    assert exchange.environ()["werkzeug.request"] is None


def test_contexts_can_be_kept_for_a_debugger(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("scenario")
        app.testing = True
        app.add_url_rule("/", "v", lambda: 1 // 0)
        environ = pair.environ_of(pair.Req("/"))
        kept: list[object] = []
        environ["werkzeug.debug.preserve_context"] = kept.append
        with pytest.raises(ZeroDivisionError):
            app(environ, lambda status, headers: None)
        assert [type(each).__name__ for each in kept] == ["AppContext", "RequestContext"]
        assert kept[1].request.path == "/"


ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "SERVER_NAME": "a",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
}


def _failing(fl, app):
    raise LookupError("teardown")


def _pushing_and_popping(fl, app):
    with fl.Flask("other").app_context():
        fl.g.there = True
    with fl.Flask("other").test_request_context("/other"):
        pass


def _leaving_an_application(fl, app):
    fl.Flask("other").app_context().push()


def _leaving_a_request(fl, app):
    app.test_request_context("/other").push()


def _reading(fl, app):
    fl.app_ctx._get_current_object()


@pytest.mark.parametrize("of", ["request", "app"])
@pytest.mark.parametrize("path", ["/", "/error", "/none"])
@pytest.mark.parametrize(
    "act", [_reading, _failing, _pushing_and_popping, _leaving_an_application, _leaving_a_request]
)
def test_what_teardown_functions_see_and_leave(pair, act, path, of) -> None:
    logs = []
    for fl in (pair.flask, pair.carboy):
        app, log = fl.Flask("teardowns"), []
        app.logger.disabled = True
        app.add_url_rule("/", "v", lambda fl=fl: setattr(fl.g, "seen", "view") or "v")
        app.add_url_rule("/error", "e", lambda: 1 / 0)

        def note(kind, exc, fl=fl, app=app, log=log):
            seen = fl.g.get("seen") if fl.has_app_context() else None
            where = fl.request.path if fl.has_request_context() else None
            log.append((kind, repr(exc), seen, where))
            if kind == of:
                act(fl, app)

        app.teardown_request(partial(note, "request"))
        app.teardown_appcontext(partial(note, "app"))

        def request(fl=fl, app=app, log=log):
            environ = {**ENVIRON, "PATH_INFO": path}
            try:
                log.append(b"".join(app(environ, lambda status, headers: log.append(status)))[:9])
            except (AssertionError, LookupError) as error:
                log.append(type(error).__name__)

        for _ in range(3):  # the first requests are not like the others
            copy_context().run(request)
        logs.append(log)
    assert logs[1] == logs[0]
