"""The files in examples/deploy are valid, and start `carboy run` as it is."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from carboy.cli.main import make_group
from running import Running

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "deploy"
PAGE = (ROOT / "docs" / "deploy.md").read_text()


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def found(value: Any, key: str) -> Iterator[Any]:
    """All values of a key, at any depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key:
                yield each
            yield from found(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from found(each, key)


def dockerfile(instruction: str) -> list[str]:
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{instruction} +(.*)$", text, re.MULTILINE)


def commands() -> dict[str, list[str]]:
    kubernetes = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]["containers"][0]
    run = documents("cloud-run.yaml")[0]["spec"]["template"]["spec"]["containers"][0]
    return {
        "Dockerfile": json.loads(dockerfile("CMD")[0]),
        "Procfile": shlex.split((FOLDER / "Procfile").read_text().partition(":")[2]),
        "kubernetes.yaml": [*kubernetes["command"], *kubernetes["args"]],
        "cloud-run.yaml": [*run["command"], *run["args"]],
    }


@pytest.mark.parametrize("name", commands())
def test_the_command_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    words = commands()[name]
    assert words[:3] == ["carboy", "run", "shop:app"]
    result = CliRunner().invoke(make_group(), [*words[1:], "--print-config", "--json"])
    assert result.exit_code == 0, result.output


def test_the_application_answers_the_health_check() -> None:
    with Running("run", "shop:app", "--port", "0", cwd=FOLDER) as server:
        assert server.get("/health")[0] == 200
        assert server.get("/")[1] == b"It works.\n"


def test_the_image_is_slim_and_does_not_run_as_root() -> None:
    assert "-slim" in dockerfile("FROM")[0]
    assert dockerfile("USER") == ["shop"]
    copied = [name for line in dockerfile("COPY") for name in line.split()[:-1]]
    assert all((FOLDER / name).is_file() for name in copied)


def test_the_extras_of_the_image_exist() -> None:
    text = (FOLDER / "requirements.txt").read_text()
    names = re.findall(r"\[(.*?)\]", text)[0].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(names) <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("name", ["kubernetes.yaml", "cloud-run.yaml"])
def test_all_probes_ask_for_a_path_that_the_server_answers(name: str) -> None:
    words = commands()[name]
    for key, option in (
        ("startupProbe", "--readyz"),
        ("readinessProbe", "--readyz"),
        ("livenessProbe", "--livez"),
    ):
        for probe in found(documents(name), key):
            assert probe["httpGet"]["path"] == value(words, option)


def test_the_image_asks_for_a_path_of_the_application() -> None:
    assert "8000/health" in dockerfile("HEALTHCHECK")[0]


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def stop_seconds(name: str) -> int:
    """The longest time from SIGTERM until running requests are cut."""
    words = commands()[name]
    return int(value(words, "--drain-delay")) + int(value(words, "--graceful-timeout"))


def test_a_pod_stays_ready_until_the_balancer_has_noticed_that_it_is_not() -> None:
    (probe,) = found(documents("kubernetes.yaml"), "readinessProbe")
    noticed = probe["periodSeconds"] * probe["failureThreshold"]
    assert int(value(commands()["kubernetes.yaml"], "--drain-delay")) > noticed


def test_a_pod_ends_after_the_graceful_timeout() -> None:
    deployment = documents("kubernetes.yaml")[0]
    assert next(found(deployment, "terminationGracePeriodSeconds")) > stop_seconds(
        "kubernetes.yaml"
    )
    assert stop_seconds("cloud-run.yaml") < 10
    web = documents("compose.yaml")[0]["services"]["web"]
    assert int(web["stop_grace_period"].removesuffix("s")) > 30


def test_names_in_kubernetes_belong_together() -> None:
    deployment, service, autoscaler, budget = documents("kubernetes.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_services_in_compose_exist() -> None:
    services = documents("compose.yaml")[0]["services"]
    assert set(services["web"]["depends_on"]) == {"redis", "postgres"}
    for name in services["web"]["depends_on"]:
        assert services[name]["healthcheck"]["test"][0] == "CMD"
    environment = services["web"]["environment"]
    assert environment["CARBOY_CHANNELS"].startswith("redis://redis:")


def test_the_page_names_every_file() -> None:
    for path in FOLDER.iterdir():
        if path.is_file():
            assert f"`{path.name}`" in PAGE, path.name
