"""An application without Flask's own routes: `flask.sansio.app.App`, which Quart subclasses."""

from __future__ import annotations

from carboy.app.app import Carboy


class _AnyApp(type):
    """Every application is one of parts, as every one has them: for isinstance and issubclass."""

    def __instancecheck__(cls, instance: object) -> bool:
        if cls is AppOfParts:
            return isinstance(instance, Carboy)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if cls is AppOfParts:
            return issubclass(subclass, Carboy)
        return super().__subclasscheck__(subclass)


class AppOfParts(Carboy, metaclass=_AnyApp):
    """The setup of an application; who subclasses it adds the route of the static files."""

    def _add_static_route(self, static_host: str | None, host_matching: bool) -> None:
        pass
