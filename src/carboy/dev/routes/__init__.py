"""The routes of an application and a request: which one matches, and why the others do not."""

from carboy.dev.routes.page import RoutesPage, with_routes_page

__all__ = ["RoutesPage", "with_routes_page"]
