"""Settings are read once, checked, and say what is wrong by name; secrets stay out of every text."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from service.settings import PREFIX, Settings, SettingsError, read_settings


def read(**values: str) -> Settings:
    return read_settings({PREFIX + name: value for name, value in values.items()})


def test_values_are_read_by_their_types() -> None:
    settings = read(DATA_DIR="/data", PORT="0", LEASE_MARGIN="2.5", AMC_POLL_DELAYS="0, 0.5,10", DATABASE_POOL_SIZE="3")
    assert settings.data_dir == Path("/data")
    assert (settings.port, settings.lease_margin, settings.database_pool_size) == (0, 2.5, 3)
    assert settings.amc_poll_delays == (0.0, 0.5, 10.0)


@pytest.mark.parametrize("name", ["log.example", "log.example/epoch", "/epoch-2/log", "log.example/epoch-2a"])
def test_a_log_has_a_name_that_is_not_one_of_its_heads_after_a_restore(name: str) -> None:
    assert read(TREE_NAME=name).tree_name == name


def test_what_is_absent_or_empty_has_its_default() -> None:
    assert read(PORT="", AMQP_URL="").port == 8080
    assert read().amqp_url is None
    assert read_settings({"PATH": "/bin", "REPORT": "x"}).host == "127.0.0.1"


def test_an_unknown_variable_of_ours_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="REPORT_BUILDER_DATABSE_URL"):
        read(DATABSE_URL="postgresql://x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("DATABASE_POOL_SIZE", "0"),
        ("WORKER_CONCURRENCY", "1.5"),
        ("LEASE_MARGIN", "0"),
        ("LEASE_MARGIN", "nan"),
        ("LEASE_MARGIN", "inf"),
        ("AMC_POLL_DELAYS", "1,soon"),
        ("AMC_POLL_DELAYS", "-1"),
        ("AMC_EXECUTION_TIMEOUT", "60"),
        ("AMC_REQUESTS_PER_SECOND", "none"),
        ("LOG_LEVEL", "loud"),
        ("TREE_NAME", "a log"),
        ("TREE_NAME", "log.example/epoch-2"),
        ("TREE_NAME", "log.example/epoch-0"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(**{name: value})
    assert f"REPORT_BUILDER_{name}={value!r}" in str(error.value)


SECRETS = {
    "DATABASE_URL": "postgresql://user:hush-1@host/db",
    "DATABASE_ADMIN_URL": "postgresql://user:hush-2@host/db",
    "AMQP_URL": "amqp://user:hush-3@host/",
    "AMC_CLIENT_SECRET": "hush-4",
    "AMC_REFRESH_TOKEN": "hush-5",
    "SECRET_KEY": "hush-6",
}


def test_no_text_made_of_settings_holds_a_secret() -> None:
    settings = read(**SECRETS)
    shown = io.StringIO()
    Console(file=shown).print(settings, [settings])
    for text in (repr(settings), str(settings), f"{settings}", repr([settings]), shown.getvalue()):
        assert "hush" not in text
        assert "data_dir" in text


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_does_not_fit_is_not_repeated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    field = next(each for each in Settings.__struct_fields__ if each == name.lower())
    assert field.endswith(("url", "secret", "token", "key"))
    monkeypatch.setattr("service.settings.msgspec.convert", _refuse)
    with pytest.raises(SettingsError) as error:
        read(**{name: SECRETS[name]})
    assert name in str(error.value)
    assert "hush" not in str(error.value)


def _refuse(*_: object, **__: object) -> object:
    import msgspec

    raise msgspec.ValidationError("Expected `something else`")
