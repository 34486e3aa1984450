"""`carboy run --cert` as a process, with curl as the client."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from certificates import Authority
from running import PATIENCE, Running, carboy

APP = """
from carboy import Carboy, request

app = Carboy(__name__)

@app.route("/", methods=["GET", "POST"])
def hello():
    return f"{request.scheme} {request.is_secure} {len(request.data)}"
"""
AUTHORITY = Authority()
PAIR = ("--cert", "server.pem", "--key", "server-key.pem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "ca.pem").write_text(AUTHORITY.pem)
    AUTHORITY.sign("localhost", "127.0.0.1").write(tmp_path)
    return tmp_path


def curl(server: Running, folder: Path, *options: str, path: str = "/") -> str:
    """The output of curl, with the certificate verified."""
    port = server.address()[1]
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(folder / "ca.pem"), *options,
         f"https://localhost:{port}{path}"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_curl_gets_a_page_over_both_versions_of_tls(folder: Path, workers: str) -> None:
    with Running("run", "app", *PAIR, "-p", "0", "-w", workers, cwd=folder) as server:
        server.line("https://127.0.0.1:")
        assert "Certificate: localhost, 127.0.0.1 (" in server.line("days left)")
        for version in ("1.2", "1.3"):
            got = curl(server, folder, "--tls-max", version, f"--tlsv{version}")
            assert got == "https True 0"
        (folder / "large").write_bytes(b"x" * 3_000_000)
        sent = ("-H", "Content-Type: x/y", "--data-binary", f"@{folder}/large")
        assert curl(server, folder, *sent) == "https True 3000000"
        assert server.stop() == 0


def test_every_problem_of_the_files_is_shown_at_the_start(folder: Path) -> None:
    told = carboy(folder, "run", "app", *PAIR, "--cert", "a.pem", "--key", "b.pem",
                  "--cert", "c.pem", "--key", "d.pem", code=1)  # fmt: skip
    assert "a.pem cannot be read: No such file or directory." in told
    assert "c.pem cannot be read: No such file or directory." in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--key", "server-key.pem"], "--key requires --cert."),
        (["--client-ca", "ca.pem"], "--client-ca requires --cert."),
        (["--hsts", "60"], "--hsts requires --cert."),
        (["--cert", "server.pem"], "server.pem has no private key in it. Give its key with --key"),
        ([*PAIR, "--key", "x.pem"], "There are 2 --key, but only 1 --cert without a key"),
    ],
)
def test_options_that_do_not_fit_together_are_shown(
    folder: Path, given: list[str], told: str
) -> None:
    assert told in " ".join(carboy(folder, "run", "app", *given, code=2).split())
