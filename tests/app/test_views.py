"""Views as classes."""

from __future__ import annotations

import pytest


def test_class_views_answer_alike(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        def decorator(text):
            def decorate(view):
                def wrapped(*args, **kwargs):
                    log.append(text)
                    return view(*args, **kwargs)

                wrapped.__name__ = view.__name__
                return wrapped

            return decorate

        class Plain(fl.views.View):
            methods = ["GET", "POST"]
            decorators = [decorator("inner"), decorator("outer")]

            def __init__(self, start=0):
                self.count = start

            def dispatch_request(self, n=1):
                self.count += n
                return str(self.count)

        class Once(Plain):
            init_every_request = False

        class NoOptions(Plain):
            provide_automatic_options = False

        class Method(fl.views.MethodView):
            def get(self, **args):
                return f"get {args}"

            def post(self):
                return "post"

        class More(Method):
            def delete(self):
                return "delete"

            def propfind(self):
                return "no HTTP method of ours"

        class Fixed(Method):
            methods = ["GET"]

        class Options(fl.views.MethodView):
            def options(self):
                return "own options"

        for kind in (Plain, Once, NoOptions):
            app.add_url_rule(
                f"/{kind.__name__}/<int:n>", view_func=kind.as_view(kind.__name__, start=5)
            )
        for kind in (Method, More, Fixed, Options):
            app.add_url_rule(f"/{kind.__name__}", view_func=kind.as_view(kind.__name__))
        app.add_url_rule("/Method/<x>", view_func=Method.as_view("with_x"), methods=["GET", "PUT"])
        log.extend(
            sorted((rule.endpoint, sorted(rule.methods)) for rule in app.url_map.iter_rules())
        )
        view = Method.as_view("named")
        log.append(
            (view.__name__, view.view_class is Method, sorted(view.methods), view.__module__)
        )
        app.config["PROPAGATE_EXCEPTIONS"] = True
        return app

    requests = [
        pair.Req(path, method)
        for path in (
            "/Plain/2",
            "/Once/2",
            "/NoOptions/1",
            "/Method",
            "/More",
            "/Fixed",
            "/Options",
            "/Method/y",
        )
        for method in ("GET", "POST", "HEAD", "DELETE", "OPTIONS", "PUT")
    ]
    pair(build, *requests)


def test_a_view_without_a_body_says_so(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        with pytest.raises(NotImplementedError):
            fl.views.View().dispatch_request()


def test_a_method_view_without_the_method_fails_alike(pair) -> None:
    def build(fl, log):
        class Odd(fl.views.MethodView):
            methods = ["GET", "PUT"]

            def get(self):
                return "get"

        app = fl.Flask("scenario")
        app.testing = True
        app.add_url_rule("/", view_func=Odd.as_view("odd"))
        return app

    seen = pair(build, "/", pair.Req("/", "PUT"))
    assert seen[1].error == "AssertionError"
