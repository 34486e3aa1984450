"""Early hints without a call in a view: static files that a page has named before."""

from __future__ import annotations

from functools import partial
from typing import Any

from carboy.app.early_hints import is_known
from carboy.app.globals import current_app, g, request
from carboy.app.wrappers import Response

USED = "_early_hints"  # in `g`: the URLs that were made for the response
MOST_LINKS, MOST_PAGES = 16, 1024


class EarlyHints:
    """Sends the links of a page's static files before its view is called, from its second time on.

    A page is an endpoint. Its links are the URLs that `url_for` with the endpoint `static`, of the
    application or of a blueprint, has given the templates of its last response: those of style
    sheets, scripts, fonts and images. They are sent to browsers that open the page over HTTP/2.
    URLs with a host are left out, because the host may be what another client has sent.
    """

    def __init__(self, app: Any = None) -> None:
        self._links: dict[tuple[str, str, str | None], tuple[str, ...]] = {}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Register with an application."""
        app.before_request(self._send)
        app.context_processor(lambda: {"url_for": self._url_for})
        app.after_request(self._learn)

    def _page(self) -> tuple[str, str, str | None]:
        return current_app.import_name, request.root_path, request.endpoint

    def _send(self) -> None:
        links = self._links.get(self._page())
        if (
            links
            and request.method == "GET"
            and request.headers.get("Sec-Fetch-Mode") == "navigate"
        ):
            request.early_hints(*links)

    def _url_for(self, endpoint: str, /, **values: Any) -> str:
        of_templates: Any = current_app.jinja_env.globals["url_for"]
        url: str = of_templates(endpoint, **values)
        if endpoint.rpartition(".")[2] == "static" and url[:1] == "/" != url[1:2]:
            g.setdefault(USED, {})[url] = None
        return url

    def _learn(self, response: Response) -> Response:
        if response.status_code != 200:
            g.pop(USED, None)
        elif response.is_streamed and not response.direct_passthrough:
            # Its template is rendered later. Each URL is added to the dictionary then.
            response.call_on_close(partial(self._keep, self._page(), g.setdefault(USED, {})))
        else:
            self._keep(self._page(), g.pop(USED, {}))
        return response

    def _keep(self, page: tuple[str, str, str | None], used: dict[str, None]) -> None:
        if not used:
            return
        if len(self._links) >= MOST_PAGES:
            self._links.clear()  # cheaper than keeping an order, and rare
        self._links[page] = tuple(filter(is_known, used))[:MOST_LINKS]
