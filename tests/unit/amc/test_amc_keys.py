"""The keys of account secrets: from the setting or a file of our own, and never in a text."""

from __future__ import annotations

import base64
import io
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from service.amc.keys import KEY_FILE, NoSecretKey, SecretKey, SecretKeys, read_keys
from service.amc.vault import REFERENCE, Secret, SecretUnreadable
from service.settings import Settings, SettingsError

ONE, TWO = b"1" * 32, b"2" * 32


def text(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


def test_the_first_key_encrypts_and_all_are_found_by_their_ids() -> None:
    keys = SecretKeys(Settings(secret_key=text(TWO, ONE), database_url="postgresql://x"))
    assert keys.current() == SecretKey(TWO)
    assert keys.find(SecretKey(ONE).id) == SecretKey(ONE)
    with pytest.raises(NoSecretKey, match=SecretKey(b"3" * 32).id):
        keys.find(SecretKey(b"3" * 32).id)


def test_keys_may_be_written_for_addresses_and_with_spaces() -> None:
    key = b"\xff\xfe" * 16
    assert read_keys(f" {base64.urlsafe_b64encode(key).decode()} , {text(ONE)} ") == (SecretKey(key), SecretKey(ONE))


@pytest.mark.parametrize("wrong", ["hush-hush", text(b"short"), text(ONE) + ",", text(ONE, b"2" * 33), "é", " "])
def test_what_is_no_key_stops_the_start_and_is_not_repeated(wrong: str) -> None:
    with pytest.raises(SettingsError, match="REPORT_BUILDER_SECRET_KEY must hold keys of 32 bytes") as error:
        SecretKeys(Settings(secret_key=wrong))
    assert "hush" not in str(error.value)


def test_without_a_key_beside_a_database_of_its_own_nothing_is_encrypted(tmp_path: Path) -> None:
    keys = SecretKeys(Settings(data_dir=tmp_path, database_url="postgresql://x"))
    with pytest.raises(NoSecretKey, match="set REPORT_BUILDER_SECRET_KEY"):
        keys.current()
    assert not list(tmp_path.iterdir())


def test_the_embedded_service_makes_a_key_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    keys = SecretKeys(Settings(data_dir=folder))
    assert keys.all() == ()
    assert not folder.exists()  # only when it is needed
    key = keys.current()
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert SecretKeys(Settings(data_dir=folder)).current() == key == keys.find(key.id)


def test_many_that_need_the_first_key_at_once_get_the_same(tmp_path: Path) -> None:
    many = [SecretKeys(Settings(data_dir=tmp_path)) for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(lambda keys: keys.current().key, many))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_rotation_keeps_the_old_key_until_its_end_and_other_processes_see_it(tmp_path: Path) -> None:
    keys, other = SecretKeys(Settings(data_dir=tmp_path)), SecretKeys(Settings(data_dir=tmp_path))
    old = keys.current()
    keys.begin_rotation()
    assert other.current() != old
    assert other.find(old.id) == old
    new = keys.current()
    keys.end_rotation(new)
    assert other.all() == (new,)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_no_text_made_of_a_key_or_a_secret_holds_it() -> None:
    shown = io.StringIO()
    things = [SecretKey(b"hush" * 8), Secret("hush"), {"secret": Secret("hush")}]
    Console(file=shown).print(*things)
    for said in (*map(repr, things), *map(str, things), shown.getvalue()):
        assert "hush" not in said
    assert "env:NAME" in repr(Secret("env:NAME", reference=True))


def test_a_reference_is_read_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    reference = Secret(f"file:{file}", reference=True)
    with pytest.raises(SecretUnreadable, match=r"token cannot be read \(FileNotFoundError\)"):
        reference.resolve()
    file.write_text("first\n")
    assert reference.resolve() == "first"
    file.write_text("second")
    assert reference.resolve() == "second"
    monkeypatch.delenv("SOME_SECRET", raising=False)
    with pytest.raises(SecretUnreadable, match="env:SOME_SECRET is empty or not set in this process"):
        Secret("env:SOME_SECRET", reference=True).resolve()
    monkeypatch.setenv("SOME_SECRET", "value")
    assert Secret("env:SOME_SECRET", reference=True).resolve() == "value"
    # What a caller gave as a secret is one, whatever it looks like.
    assert Secret("env:SOME_SECRET").resolve() == "env:SOME_SECRET"


@pytest.mark.parametrize("wrong", ["env:", "env:A B", "file:", "http://x", "secret", "ENV:A"])
def test_what_is_no_reference_is_told_apart(wrong: str) -> None:
    assert not REFERENCE.fullmatch(wrong)
