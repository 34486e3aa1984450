"""An application under test as it is while a worker serves."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from carboy.gateway import for_application

if TYPE_CHECKING:
    from carboy.app.app import Carboy
    from carboy.testing.app_client import FlaskClient
    from carboy.testing.cli_runner import FlaskCliRunner

END = 10.0  # seconds for what comes after serving


class TestApp:
    """Runs what comes before and after serving around a `with` block.

    As in Quart, a test client alone does not run these functions. Raises StartFailed if one of
    the first of them fails.
    """

    __test__ = False  # for pytest: this is not a class of tests

    def __init__(self, app: Carboy | Any) -> None:
        self.app = app
        self._gateway: Any = None

    def startup(self) -> None:
        """Run what comes before serving. The jobs of `app.every` do not run."""
        self.app.without_jobs = True
        self._gateway = gateway = for_application(self.app)
        start = getattr(gateway, "start", None)
        if start is not None:
            start()

    def shutdown(self) -> None:
        """Run what comes after serving. Errors are logged, as by a server."""
        gateway, self._gateway = self._gateway, None
        stop = getattr(gateway, "stop", None)
        if stop is not None:
            stop(END)

    def test_client(self, *args: Any, **kwargs: Any) -> FlaskClient:
        """A client of the application."""
        client: FlaskClient = self.app.test_client(*args, **kwargs)
        return client

    def test_cli_runner(self, **kwargs: Any) -> FlaskCliRunner:
        """A runner of the application's commands."""
        runner: FlaskCliRunner = self.app.test_cli_runner(**kwargs)
        return runner

    def __enter__(self) -> Self:
        self.startup()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        import asyncio

        await asyncio.to_thread(self.startup)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.shutdown)
