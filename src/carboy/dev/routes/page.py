"""In development, a 404 or 405 of the framework lists the routes, with the nearest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from carboy.dev.debugger import wants_page
from carboy.dev.live.held_response import HeldResponse
from carboy.dev.live.middleware import loads_page
from carboy.dev.routes.matching import WEBSOCKET, Framework, is_matched
from carboy.dev.routes.refusals import Refusal, refusals
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.http.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SHOWN = 200  # routes
LARGEST = 2000  # bytes; the framework's own pages for 404 and 405 are shorter
AUTOMATIC = {"HEAD", "OPTIONS"}

PAGE = Markup("""\
<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{
  color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #15181c); --card: light-dark(#fff, #1c2025);
  --ink: light-dark(#1d2126, #e4e6e8); --soft: light-dark(#626a73, #98a1ab);
  --line: light-dark(#e3e0d8, #2e343b); --wrong: light-dark(#8a5a00, #f0c060);
  --link: light-dark(#0b5c8a, #7cc4ee);
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
body {{ margin: 0; color: var(--ink); background: var(--paper); font: 15px/1.55 system-ui, sans-serif; }}
main {{ max-width: 72rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; }}
header {{ border-left: 5px solid var(--wrong); padding: .2rem 0 .2rem 1.2rem; margin-bottom: 1.8rem; }}
header p {{ margin: 0; }}
h1 {{ margin: .1rem 0 .4rem; font: 600 1.5rem/1.3 var(--mono); overflow-wrap: anywhere; }}
.kind {{ color: var(--wrong); font-weight: 650; }}
.soft, footer {{ color: var(--soft); }}
.scroll {{ overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .45rem .9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); font: .87rem/1.5 var(--mono); }}
thead th {{ border: 0; font: 600 .8rem system-ui, sans-serif; color: var(--soft); }}
td.rule {{ overflow-wrap: anywhere; min-width: 14rem; }} td.rule p {{ margin: 0; color: var(--wrong); }}
td.rule a {{ color: var(--link); text-decoration: none; }} td.rule a:hover {{ text-decoration: underline; }}
footer {{ margin-top: 1rem; font-size: .88rem; }}
</style>
</head>
<body>
<main>
<header><p class=kind>{kind}</p><h1>{method} {path}</h1><p>{text}</p></header>
<div class=scroll><table>
<thead><tr><th scope=col>Methods<th scope=col>Route<th scope=col>Endpoint</thead>
<tbody>{rows}</tbody>
</table></div>
<footer>{more}This page is shown in development only.</footer>
</main>
</body>
</html>
""")  # noqa: E501 - a style sheet
ROW = Markup("<tr><td class=soft>{}<td class=rule>{}{}<td class=soft>{}\n")


class RoutesPage:
    """WSGI middleware that lists the routes of `application` when none of them matches.

    Only the framework's own pages are replaced: not those of error handlers, nor a 404 of a view.
    """

    def __init__(self, app: WSGIApplication, application: Any) -> None:
        self.app = app
        self.application = application
        exceptions = Framework(application.url_map).exceptions
        self._bodies = {
            "404": exceptions.NotFound().get_body().encode(),
            "405": exceptions.MethodNotAllowed().get_body().encode(),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; replace the framework's page about a missing route."""
        if not loads_page(environ):
            return self.app(environ, start_response)
        held = HeldResponse(start_response, "")
        result = self.app(environ, held.start_response)
        length = "".join(held.values("content-length")[:1])
        expected = self._bodies.get(held.status[:3])
        if held.begun or expected is None or length != str(len(expected)):
            held.begin()
            return _Late(result, held) if not held.status else result
        body = b"".join(result)
        close = getattr(result, "close", None)
        page = None
        try:
            if body == expected:
                page = self._page(environ, held)
        finally:
            if page is None:
                held.begin()
        if page is None:
            return ClosingIterator([body], close)
        kept = [
            (name, value)
            for name, value in held.headers
            if name.lower() not in ("content-length", "content-type")
        ]
        page.status = held.status
        page.headers.extend(kept)
        return ClosingIterator(page(environ, start_response), close)

    def _page(self, environ: WSGIEnvironment, held: HeldResponse) -> Response | None:
        request = Request(environ, populate_request=False)
        url_map = self.application.url_map
        if held.status.startswith("404"):
            if is_matched(url_map, environ):
                return None  # the view itself has answered with a 404
            kind, text = (
                "404 Not Found",
                "No route matches this path. The nearest routes are first.",
            )
        else:
            allowed = ", ".join(
                sorted({m.strip() for m in ",".join(held.values("allow")).split(",")})
            )
            kind = "405 Method Not Allowed"
            text = f"The route of this path allows {allowed}."
        found = refusals(url_map, request.path, request.host)
        if not found:
            text = "The application has no routes."
        elif "%2f" in str(environ.get("REQUEST_URI", environ.get("RAW_URI", ""))).lower():
            text += " %2F in a path means a slash."
        if not wants_page(request):
            return Response(_as_text(kind, request, text, found), mimetype="text/plain")
        return Response(_as_page(kind, request, text, found), mimetype="text/html")


def _methods(each: Refusal) -> str:
    if getattr(each.rule, "websocket", False):
        return WEBSOCKET
    methods = set(each.rule.methods or ())
    return ", ".join(sorted(methods - AUTOMATIC or methods))


def _as_text(kind: str, request: Request, text: str, found: list[Refusal]) -> str:
    lines = [f"{kind}: {request.method} {request.path}", text, ""]
    for each in found[:SHOWN]:
        lines.append(f"{_methods(each):<12} {each.rule.rule}  ({each.rule.endpoint})")
        lines += [f"{'':<12} {each.why}"] if each.why else []
    return "\n".join(lines) + "\n"


def _as_page(kind: str, request: Request, text: str, found: list[Refusal]) -> str:
    more = f"{len(found) - SHOWN:,} more routes are not shown. " if len(found) > SHOWN else ""
    return PAGE.format(
        title=f"{kind} // {request.path}"[:200],
        kind=kind,
        method=request.method,
        path=request.path,
        text=text,
        rows=Markup("").join(_row(each, request.root_path) for each in found[:SHOWN]),
        more=more,
    )


def _row(each: Refusal, root: str) -> Markup:
    rule = each.rule.rule
    shown = escape(rule)
    if "GET" in _methods(each).split(", ") and not each.rule.arguments:
        shown = Markup('<a href="{}{}">{}</a>').format(root.rstrip("/"), rule, rule)
    why = Markup("<p>{}</p>").format(each.why) if each.why else Markup("")
    return ROW.format(_methods(each), shown, why, str(each.rule.endpoint))


def with_routes_page(app: Any) -> Any:
    """The application with this page, if it is one of Carboy or Flask."""
    if hasattr(type(app), "wsgi_app") and hasattr(app, "url_map"):
        return RoutesPage(app, app)
    return app


class _Late:
    """The pieces of an application that calls start_response with its first piece."""

    def __init__(self, result: Iterable[bytes], held: HeldResponse) -> None:
        self._pieces = iter(result)
        self._result = result
        self._held = held

    def __iter__(self) -> _Late:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        finally:
            self._held.begin()
        return piece

    def close(self) -> None:
        """Close the application's response."""
        if close := getattr(self._result, "close", None):
            close()
