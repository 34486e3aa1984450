"""Class-based views."""

from __future__ import annotations

import pytest


def test_class_based_views_answer_alike(pair) -> None:
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
                return "not an HTTP method"

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


def test_a_view_without_dispatch_request_says_so(pair) -> None:
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


def test_replaced_attributes_of_a_view_class_or_function_are_used_alike(pair) -> None:
    def changes(fl):
        class First(fl.views.View):
            decorators = [lambda view: lambda **values: f"({view(**values)})"]

            def dispatch_request(self):
                return "first"

        class Second(fl.views.View):
            def dispatch_request(self):
                return "second"

        class Kept(First):
            init_every_request = False

        def new_body():
            First.dispatch_request = lambda self: "new"

        def late_switches():
            First.decorators = []
            First.methods = ["POST"]
            First.init_every_request = False

        def other_class():
            for view in views:
                view.view_class = Second

        views = [First.as_view("first"), Kept.as_view("kept")]
        return views, [lambda: None, new_body, late_switches, other_class]

    seen = []
    for fl, lane in ((pair.flask, None), (pair.carboy, "wsgi"), (pair.carboy, "direct")):
        views, steps = changes(fl)
        app = fl.Flask("scenario")
        for number, view in enumerate(views):
            app.add_url_rule(f"/{number}", view_func=view, endpoint=str(number))
        client = app.test_client() if lane is None else app.test_client(lane=lane)
        answers = []
        for step in steps:
            step()
            for path in ("/0", "/1"):
                answers.append([client.get(path).text for _ in range(3)])
                answers.append(client.post(path).status_code)
        seen.append(answers)
    assert seen[1] == seen[2] == seen[0]
    assert seen[0][-4] == 3 * ["(second)"]
