"""The service's own signing key: made once, for its user alone, and refused where it cannot be trusted."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import msgspec
import pytest

from service.auth.keys import read_keys
from service.auth.own_key import OwnKey
from service.settings import SettingsError


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_it_signs_what_its_published_half_verifies(tmp_path: Path) -> None:
    own = OwnKey(tmp_path / "auth" / "key.pem")
    token = own.sign({"sub": "a"})
    (key,) = read_keys(asyncio.run(own.jwks()))
    assert key.kid == kid_of(token)
    assert key.algorithms == {"EdDSA"}
    assert jwt.decode(token, key.public, algorithms=["EdDSA"]) == {"sub": "a"}
    assert b'"d"' not in asyncio.run(own.jwks())


def test_its_file_is_for_its_user_alone_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "auth" / "key.pem"
    first = OwnKey(file).sign({})
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert kid_of(OwnKey(file).sign({})) == kid_of(first)
    assert list(file.parent.iterdir()) == [file]


def test_many_that_make_it_at_once_have_one_key(tmp_path: Path) -> None:
    together = threading.Barrier(16)

    def sign(_: int) -> str:
        together.wait()
        return kid_of(OwnKey(tmp_path / "key.pem").sign({}))

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(sign, range(16)))) == 1


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    OwnKey(file).sign({})
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        OwnKey(file).sign({})


@pytest.mark.parametrize("content", [b"", b"nonsense", msgspec.json.encode({"keys": []})])
def test_a_file_that_is_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError, match=r"key\.pem"):
        OwnKey(file).sign({})
