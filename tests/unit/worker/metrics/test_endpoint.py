"""Who may read the metrics, and from where."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from config.references import Reference
from worker.errors import CannotListen
from worker.metrics.endpoint import Address, Doorkeeper, refuse_open_door


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464, True),
        ("localhost:1", "localhost", 1, True),
        ("[::1]:9464", "::1", 9464, True),
        ("0.0.0.0:9464", "0.0.0.0", 9464, False),
        (":9464", "0.0.0.0", 9464, False),
        ("[::]:9464", "::", 9464, False),
        ("usher.example:9464", "usher.example", 9464, False),
    ],
)
def test_addresses(text: str, host: str, port: int, loopback: bool) -> None:
    """Whatever is not surely this machine's own is beyond it."""
    address = Address.parse(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, loopback)


@pytest.mark.parametrize("text", ["", "9464", "localhost", "h:", "h:99999", "h:x", "h:²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """With a sentence that shows one."""
    with pytest.raises(CannotListen, match="127.0.0.1:9464"):
        Address.parse(text)


def test_an_open_door_is_refused_beyond_loopback(tmp_path: Path) -> None:
    """On this machine anybody may read; beyond it only who brings a secret."""
    refuse_open_door(Address("127.0.0.1", 1), Doorkeeper())
    with pytest.raises(CannotListen, match="metrics.login"):
        refuse_open_door(Address("0.0.0.0", 1), Doorkeeper())
    (tmp_path / "login").write_text("me:pw\n")
    refuse_open_door(Address("0.0.0.0", 1), Doorkeeper(Reference.parse(f"file:{tmp_path / 'login'}")))


def test_only_the_right_secret_opens(tmp_path: Path) -> None:
    """Neither another one, nor the right one under the other scheme, nor what is no header at
    all.
    """
    (tmp_path / "login").write_text("me:pw\n")
    (tmp_path / "token").write_text("tok\n")
    login, token = (Reference.parse(f"file:{tmp_path / name}") for name in ("login", "token"))
    basic, basic_token = (f"Basic {base64.b64encode(text).decode()}" for text in (b"me:pw", b"tok"))
    both = Doorkeeper(login, token)
    assert both.lets_in(basic)
    assert both.lets_in("bearer tok")
    for header in ("", basic_token, "Bearer me:pw", "Basic me:pw", "Basic %%%", "Digest x", "Bearer ", "Basic é"):
        assert not both.lets_in(header), header
    assert not Doorkeeper(login).lets_in("Bearer tok")
    assert not Doorkeeper(token=token).lets_in(basic)
    assert Doorkeeper().lets_in("")
