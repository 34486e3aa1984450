"""Early hints without a call in a view: static files that a page has named before."""

from __future__ import annotations

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

    def _url_for(self, endpoint: str, **values: Any) -> str:
        url: str = current_app.url_for(endpoint, **values)
        if endpoint.rpartition(".")[2] == "static":
            g.setdefault(USED, {})[url] = None
        return url

    def _learn(self, response: Response) -> Response:
        used = g.pop(USED, None)
        if used is not None and response.status_code == 200:
            links = tuple(filter(is_known, used))[:MOST_LINKS]
            if len(self._links) >= MOST_PAGES:
                self._links.clear()  # cheaper than keeping an order, and rare
            self._links[self._page()] = links
        return response
