from __future__ import annotations

import urllib.request

import carboy
from carboy.testing import live_server


def test_an_application_is_served_while_the_block_lasts() -> None:
    app = carboy.Flask("live")
    app.add_url_rule("/", "index", lambda: carboy.request.host)
    with live_server(app) as url:
        with urllib.request.urlopen(f"{url}/", timeout=30) as response:
            assert f"http://{response.read().decode()}" == url
