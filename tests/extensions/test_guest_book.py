"""Five unmodified extensions on `carboy run --flask`, with a database, Redis and a browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from chromium import chromium, program
from running import PATIENCE, Running, die_with_parent

pytestmark = pytest.mark.xdist_group("chromium")

FOLDER = Path(__file__).parents[2] / "examples" / "extensions"
ELSEWHERE = {"Origin": "https://elsewhere.example"}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = program("redis-server")
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "s"  # no port, which another program could take first
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(path), "--save", ""],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if "accept connections" in line and str(path) in line:
                break
        else:
            pytest.fail("redis-server did not start")
        yield f"unix://{path}?db=0"
        process.terminate()


@pytest.fixture(scope="module")
def address(redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = tmp_path_factory.mktemp("database") / "guests.db"
    env = {"REDIS": redis, "DATABASE": f"sqlite:///{database}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = ("run", "--flask", "app", "--port", "0")
    with Running(*command, cwd=FOLDER, env=env) as server:
        host, port = server.address()
        yield f"http://{host}:{port}"
        assert server.stop() == 0
        assert "Traceback" not in server.text()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        yield page


def sign_in(page: Page, address: str, name: str, password: str) -> None:
    page.goto(f"{address}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Send").click()


def test_a_guest_logs_in_writes_and_logs_out(page: Page, address: str) -> None:
    page.goto(address)
    expect(page).to_have_url(f"{address}/sign-in?next=%2F")
    expect(page.get_by_role("alert")).to_have_text("Please log in to access this page.")

    sign_in(page, address, "Ada", "secret")
    expect(page.get_by_text("Hello, Ada.")).to_be_visible()
    page.get_by_label("Text").fill("I was <here>")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("alert")).to_have_text("Thank you.")
    expect(page.get_by_role("listitem")).to_have_text("I was <here> (Ada)")

    page.get_by_role("link", name="Sign out").click()
    page.goto(address)
    expect(page).to_have_url(f"{address}/sign-in?next=%2F")

    sign_in(page, address, "Ada", "wrong")
    expect(page.get_by_role("alert")).to_have_text("That is not the password.")
    sign_in(page, address, "Ada", "secret")
    expect(page.get_by_role("listitem")).to_have_text("I was <here> (Ada)")


def test_a_form_without_a_token_changes_nothing(page: Page, address: str) -> None:
    sign_in(page, address, "Grace", "secret")
    expect(page.get_by_text("Hello, Grace.")).to_be_visible()
    answer = page.request.post(address, form={"text": "forged", "send": "Write"})
    assert answer.status == 200
    assert "forged (Grace)" not in answer.text()


def test_another_origin_can_read_what_cors_allows(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        answer = client.get("/api/count", headers=ELSEWHERE)
        assert answer.headers["Access-Control-Allow-Origin"] == ELSEWHERE["Origin"]
        asked = ELSEWHERE | {"Access-Control-Request-Method": "GET"}
        preflight = client.options("/api/count", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == ELSEWHERE["Origin"]
        assert "GET" in preflight.headers["Access-Control-Allow-Methods"]


def test_a_cached_response_is_used_until_it_is_cleared(
    page: Page, address: str, redis: str
) -> None:
    with httpx.Client(base_url=address) as client:
        client.post("/api/forget")
        before = json.loads(client.get("/api/count").text)["entries"]
        with Redis.from_url(redis) as store:
            assert store.dbsize() == 1  # it is kept there, and nowhere else
        sign_in(page, address, "Alan", "secret")
        page.get_by_label("Text").fill("one more")
        page.get_by_role("button", name="Write").click()
        expect(page.get_by_text("one more (Alan)")).to_be_visible()
        assert client.get("/api/count").json() == {"entries": before}
        client.post("/api/forget")
        assert client.get("/api/count").json() == {"entries": before + 1}
