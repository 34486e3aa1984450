from __future__ import annotations

import urllib.request

import carboy
from carboy.testing import live_server


def test_an_application_is_served_until_the_block_ends() -> None:
    app = carboy.Flask("live")
    app.add_url_rule("/", "index", lambda: carboy.request.host)
    with live_server(app) as url:
        with urllib.request.urlopen(f"{url}/", timeout=30) as response:
            assert f"http://{response.read().decode()}" == url


def test_a_response_with_a_status_is_the_same_every_time() -> None:
    app = carboy.Flask("live")
    app.add_url_rule("/", "made", lambda: (carboy.jsonify(id=7), 201))
    with live_server(app) as url:
        for _ in range(3):
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert (answer.status, answer.read()) == (201, b'{"id":7}\n')
