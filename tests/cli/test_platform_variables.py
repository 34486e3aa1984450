"""PORT, HOST and WEB_CONCURRENCY, as platforms set them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from carboy.cli.platform_variables import apply, is_address, lines
from running import Running, carboy, free_port

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


def applied(
    environ: dict[str, str], insisted: tuple[str, ...] = (), **values: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    used = apply(values, insisted, environ)
    return values, used


def test_port_is_the_port_on_every_address() -> None:
    values, used = applied({"PORT": "5000"}, host=None, port=None)
    assert values == {"host": "0.0.0.0", "port": 5000}
    assert lines(used) == ["Set by the environment: PORT (port and host)"]


def test_an_option_has_precedence_and_the_project_does_not() -> None:
    values, used = applied({"PORT": "5000"}, ("port",), port=9000)
    assert (values, used) == ({"port": 9000}, {})
    values, used = applied({"PORT": "5000", "WEB_CONCURRENCY": "3"}, port=9000, workers=1)
    assert values == {"port": 5000, "host": "0.0.0.0", "workers": 3}


def test_a_host_that_was_given_is_kept() -> None:
    assert applied({"PORT": "5000"}, host="127.0.0.1")[0] == {"host": "127.0.0.1", "port": 5000}
    values, _ = applied({"PORT": "5000", "HOST": "::1"}, ("host",), host="127.0.0.1")
    assert values == {"host": "127.0.0.1", "port": 5000}


def test_host_counts_if_it_is_an_address() -> None:
    assert applied({"HOST": "::"})[0] == {"host": "::"}
    assert applied({"HOST": "x86_64-conda-linux-gnu"})[0] == {}
    assert is_address("localhost") and is_address("[::1]") and not is_address("")


@pytest.mark.parametrize("values", [{"bind": ["unix:/x"]}, {"fd": 3}])
def test_port_is_not_used_beside_a_complete_address(values: dict[str, Any]) -> None:
    assert applied({"PORT": "5000", "HOST": "::"}, **values) == (values, {})


def test_a_server_of_a_domain_keeps_every_address() -> None:
    assert applied({"PORT": "5000"}, domain=("shop.example",))[0] == {
        "domain": ("shop.example",), "port": 5000,
    }  # fmt: skip


def test_without_a_supervisor_there_is_one_worker() -> None:
    assert applied({"WEB_CONCURRENCY": "4"}, supervisor=False, workers=1)[0]["workers"] == 1


def test_empty_variables_are_not_used() -> None:
    assert applied({"PORT": "", "HOST": "", "WEB_CONCURRENCY": ""}) == ({}, {})


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"PORT": "http"}, "The variable PORT: 'http' is not a valid integer."),
        ({"PORT": "70000"}, "The variable PORT: '70000' is not a port. Use a number"),
        ({"WEB_CONCURRENCY": "0"}, "The variable WEB_CONCURRENCY: '0' is not a number of workers."),
    ],
)
def test_a_wrong_value_names_the_variable(environ: dict[str, str], part: str) -> None:
    with pytest.raises(click.UsageError) as error:
        applied(environ)
    assert part in error.value.message


def test_a_wrong_variable_is_a_usage_error_before_the_application_loads(tmp_path: Path) -> None:
    said = carboy(tmp_path, "run", "missing", code=2, PORT="http")
    assert "The variable PORT" in said and "Traceback" not in said


def test_a_platform_reaches_the_server_and_the_banner_says_why(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HELLO)
    port = free_port()
    with Running("run", cwd=tmp_path, env={"PORT": str(port), "WEB_CONCURRENCY": "2"}) as server:
        server.line("Set by the environment: PORT (port and host), WEB_CONCURRENCY (workers)")
        server.line("2 workers")
        assert server.address() == ("127.0.0.1", port)
        assert server.get() == (200, b"hello")
        assert server.stop() == 0


def test_debug_mode_is_refused_on_the_address_of_a_platform(tmp_path: Path) -> None:
    said = carboy(tmp_path, "run", "missing", "--debug", code=2, PORT="5000")
    assert "others reach 0.0.0.0:5000" in said
