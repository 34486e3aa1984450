"""The builder of environs without an application, which `Request.from_values` uses too."""

from carboy.http.request.environ_builder import EnvironBuilder, create_environ

__all__ = ["EnvironBuilder", "create_environ"]
