"""docs/metrics.md: its table is that of the server, and its examples work."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from carboy.gateway import for_application
from carboy.server.metrics.families import METRICS
from carboy.server.metrics.settings import BUCKETS, MetricsSettings
from documented import DOCS, Page, plan_of
from live_engine import eventually, served
from running import in_a_fresh_process

TEXT = (DOCS / "metrics.md").read_text()
PAGE = Page("metrics.md")


def block(language: str, part: str) -> str:
    """The block of code that contains `part`."""
    blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return next(str(each) for each in blocks if part in each)


def test_the_table_has_each_metric_with_its_type_unit_labels_and_meaning() -> None:
    rows = re.findall(r"^\| `(carboy_\w+)` \| (\w+) \| (\w*) \| (.*?) \| (.+) \|$", TEXT, re.M)
    assert rows == [
        (each.shown, each.kind.value, each.unit, " ".join(f"`{n}`" for n in each.labels), each.help)
        for each in METRICS.values()
    ]


def test_the_defaults_are_those_of_the_settings() -> None:
    found = dict(re.findall(r"^\| `(--[\w/-]+)` \| (.+?) \|", TEXT, re.MULTILINE))
    assert MetricsSettings().metrics and found["--metrics/--no-metrics"] == "yes"
    assert found["--metrics-routes"] == str(MetricsSettings().metrics_routes)
    assert found["--metrics-buckets"] == f"{len(BUCKETS)} from {BUCKETS[0]:g} to {BUCKETS[-1]:g}"


@pytest.mark.parametrize("command", PAGE.commands)
def test_the_commands_are_accepted(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.py").write_text("def app(environ, start_response): ...\n")
    assert plan_of(command, monkeypatch).settings.operation.wanted


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_accepts_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(block("yaml", "scrape_configs"))
    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def route_of_request(app: Any, path: str) -> str:
    found: list[str] = []
    gateway = for_application(app)
    gateway.start()  # type: ignore[attr-defined]
    try:
        with served(app, gateway=gateway, access=lambda each: found.append(each[7].route)) as live:
            assert live.get(path).status == 200
            eventually(lambda: found)
    finally:
        gateway.stop(5.0)  # type: ignore[attr-defined]
    return found[0]


# A process can have one configuration of Django.
@in_a_fresh_process
def test_the_middleware_for_django_names_the_route() -> None:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    module: Any = ModuleType("with_named_routes")
    exec(block("python", "resolver_match"), module.__dict__)
    module.urlpatterns = [path("users/<int:number>", lambda request, number: HttpResponse("x"))]
    sys.modules["with_named_routes"] = module
    settings.configure(
        SECRET_KEY="a key", ALLOWED_HOSTS=["*"], ROOT_URLCONF="with_named_routes",
        MIDDLEWARE=["with_named_routes.NameRoute"],
    )  # fmt: skip
    for make in (get_wsgi_application, get_asgi_application):
        assert route_of_request(make(), "/users/3") == "users/<int:number>"


def test_the_hook_for_quart_names_the_route() -> None:
    import quart

    app = quart.Quart(__name__)

    @app.get("/users/<int:number>")
    async def user(number: int) -> str:
        return str(number)

    exec(block("python", "request.scope"), {"app": app, "request": quart.request})
    assert asyncio.iscoroutinefunction(app.before_request_funcs[None][0])
    assert route_of_request(app, "/users/3") == "/users/<int:number>"
