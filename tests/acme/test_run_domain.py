"""`carboy run --domain` with an authority of the test: stops, restarts, folders, the plain port."""

from __future__ import annotations

import http.client
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_directory import FakeDirectory, problem
from running import PATIENCE, Running, carboy

APP = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"


@pytest.fixture
def authority() -> Iterator[FakeDirectory]:
    found = FakeDirectory()
    yield found
    found.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def options(authority: FakeDirectory, *more: str) -> list[str]:
    return [
        "run", "shop:app", "--domain", "shop.example", "--acme-directory", authority.directory,
        "--state", "state", "--host", "127.0.0.1", "--port", "0", "--redirect-http", "0", *more,
    ]  # fmt: skip


def plain_port(server: Running) -> int:
    return int(server.line("http://127.0.0.1").rpartition(":")[2].strip(" /\n"))


@pytest.mark.parametrize("more", [[], ["--no-supervisor"]], ids=str)
def test_a_stop_in_the_middle_of_an_order_is_continued_by_the_next_start(
    authority: FakeDirectory, folder: Path, more: list[str]
) -> None:
    authority.held.clear()
    with Running(*options(authority, *more), cwd=folder) as server:
        assert authority.asked.wait(PATIENCE)
        connection = http.client.HTTPConnection("127.0.0.1", plain_port(server), PATIENCE)
        connection.request("GET", "/a", headers={"Host": "shop.example"})
        waiting = connection.getresponse()
        assert waiting.status == 503
        assert waiting.headers["Retry-After"] == "30"
        assert b"has been ordered" in waiting.read()
        token = "/.well-known/acme-challenge/token-http-01-shop-example"
        connection = http.client.HTTPConnection("127.0.0.1", plain_port(server), PATIENCE)
        connection.request("GET", token, headers={"Host": "shop.example"})
        assert connection.getresponse().read().startswith(b"token-http-01-shop-example.")
        assert server.stop() == 0
    authority.held.set()
    with Running(*options(authority, *more), cwd=folder) as server:
        server.line("An order that was begun before is continued.")
        server.line("The certificate for shop.example is in use until")
        assert authority.count("newOrder") == 1
        # Clients are sent to HTTPS from now on.
        connection = http.client.HTTPConnection("127.0.0.1", plain_port(server), PATIENCE)
        connection.request("GET", "/a", headers={"Host": "shop.example"})
        assert connection.getresponse().status == 308
        assert server.stop() == 0


def test_a_reload_hands_the_order_on(authority: FakeDirectory, folder: Path) -> None:
    authority.held.clear()
    with Running(*options(authority, "--idle-grace", "0"), cwd=folder) as server:
        assert authority.asked.wait(PATIENCE)
        server.send(signal.SIGHUP)
        server.line("All workers have been replaced.")
        authority.held.set()
        server.line("The certificate for shop.example is in use until")
        assert authority.count("newOrder") == 1


def test_a_worker_that_is_killed_hands_the_order_on(authority: FakeDirectory, folder: Path) -> None:
    authority.held.clear()
    with Running(*options(authority, "--workers", "2"), cwd=folder) as server:
        assert authority.asked.wait(PATIENCE)
        worker = server.line("the authority checks the name").split("[")[2].partition("]")[0]
        os.kill(int(worker), signal.SIGKILL)
        authority.held.set()
        server.line("An order that was begun before is continued.")
        server.line("The certificate for shop.example is in use until")
        server.line("The certificates were loaded again", 2)
        assert authority.count("newOrder") == 1


def test_a_failure_is_shown_by_the_log_and_by_certs(authority: FakeDirectory, folder: Path) -> None:
    authority.refuse["newOrder"] = [problem("rateLimited", "Too many.", 429, "86400")] * 2
    with Running(*options(authority), cwd=folder) as server:
        line = server.line("No new certificate for shop.example.")
        assert "Too many." in line
        assert "The authority refuses attempts before then." in line
        shown = carboy(folder, "certs", "--state", "state")
        assert "None has been issued; clients get a temporary one." in shown
        assert "Too many." in shown
        renewed = carboy(folder, "certs", "--state", "state", "renew", code=1)
        assert "Too many." in renewed
        assert "There is no certificate for other.example" in carboy(
            folder, "certs", "--state", "state", "renew", "other.example", code=1
        )


def test_without_a_server_certs_says_what_to_do(folder: Path) -> None:
    assert "carboy run APP --domain NAME" in carboy(folder, "certs", "--state", "state")
    shown = carboy(folder, "certs", "--state", "state", "renew", code=1)
    assert "There are no certificates in" in shown


def test_a_folder_that_cannot_be_used_is_an_error_at_the_start(
    authority: FakeDirectory, folder: Path
) -> None:
    (folder / "state").write_text("a file")
    shown = carboy(folder, *options(authority), code=1)
    assert "state/acme cannot be written: Not a directory." in shown
    assert "use another folder with --state" in shown


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_full_disk_is_an_error_at_the_start(authority: FakeDirectory, folder: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-B", "-m", "carboy", *options(authority)], cwd=folder, text=True,
        capture_output=True, timeout=PATIENCE, preexec_fn=_small_files,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "certificate.pem cannot be written: File too large. Correct that" in done.stderr
    assert not list((folder / "state").rglob("*.pem*"))
