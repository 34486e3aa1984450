from __future__ import annotations

import dataclasses

import pytest

from carboy.protocol.limits import Limits
from carboy.server.settings import Settings, default_threads, names_of_settings, with_values


def test_every_setting_has_a_unit_a_help_text_and_a_section() -> None:
    for group, name, field in names_of_settings():
        if group != "limits":
            assert field.metadata["unit"], name
            assert field.metadata["help"], name
            assert field.metadata["section"], name


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().threads = 3  # type: ignore[misc]


def test_the_default_number_of_threads_is_between_16_and_64() -> None:
    assert 16 <= default_threads() <= 64
    assert Settings().threads == default_threads()


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"threads": 0}, "threads must be at least 1"),
        ({"backlog": 0}, "backlog"),
        ({"keepalive_timeout": -1.0}, "keepalive_timeout must not be negative"),
        ({"poller": "kqueue"}, "auto, epoll, selectors"),
        ({"server_header": "a\r\nb: c"}, "printable"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(values: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Settings(**values)  # type: ignore[arg-type]


def test_values_reach_settings_and_limits_by_name() -> None:
    settings = with_values(Settings(), {"threads": 3, "limit_body": 10})
    assert settings.threads == 3
    assert settings.limits == dataclasses.replace(Limits(), body=10)


def test_what_is_derived_from_limits_cannot_be_set() -> None:
    with pytest.raises(TypeError, match="There is no setting 'limit_quick'"):
        with_values(Settings(), {"limit_quick": 10})


def test_the_error_for_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(TypeError, match="Did you mean 'keepalive_timeout'"):
        with_values(Settings(), {"keep_alive_timeout": 3})
    with pytest.raises(TypeError, match="Did you mean 'limit_body'"):
        with_values(Settings(), {"limit_bdy": 3})
