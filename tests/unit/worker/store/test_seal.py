from __future__ import annotations

import pytest

from config.secrets import Secret
from tests.ledgers import new_key_text
from worker.errors import KeyUnusable, SealBroken
from worker.store.seal import Sealer


def test_sealed_value_opens_in_its_place_only() -> None:
    """What was sealed for one key of Redis says nothing under another."""
    sealer = Sealer([Secret(new_key_text())])
    sealed = sealer.seal(b"token", b"usher:token:a")
    assert b"token" not in sealed
    assert sealer.open(sealed, b"usher:token:a") == b"token"
    with pytest.raises(SealBroken, match="moved"):
        sealer.open(sealed, b"usher:token:b")


def test_same_value_is_sealed_differently_each_time() -> None:
    """Equal values cannot be seen to be equal."""
    sealer = Sealer([new_key_text()])
    assert sealer.seal(b"x", b"") != sealer.seal(b"x", b"")


def test_keys_roll_over() -> None:
    """The first key seals, every key of the list opens, a dropped key does not."""
    old, new = new_key_text(), new_key_text()
    sealed = Sealer([old]).seal(b"x", b"c")
    assert Sealer([new, old]).open(sealed, b"c") == b"x"
    with pytest.raises(SealBroken, match=r"not in \[ledger\]\.key"):
        Sealer([new]).open(sealed, b"c")
    with pytest.raises(SealBroken):
        Sealer([old]).open(Sealer([new, old]).seal(b"x", b"c"), b"c")


@pytest.mark.parametrize("cut", [0, 1, 5, 20, 32, -1])
def test_changed_value_does_not_open(cut: int) -> None:
    """A truncated or altered value is refused, never half believed."""
    sealer = Sealer([new_key_text()])
    sealed = sealer.seal(b"x", b"c")
    with pytest.raises(SealBroken):
        sealer.open(sealed[:cut], b"c")


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("00" * 32, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("a passphrase of some length", "  a passphrase of some length\n"),
    ],
)
def test_key_texts_that_mean_the_same(one: str, same: str) -> None:
    """Hex and base64 of the same bytes are one key; white space around a key is none of it."""
    assert Sealer([same]).open(Sealer([one]).seal(b"x", b""), b"") == b"x"


@pytest.mark.parametrize("keys", [[], ["short"], ["fifteen letters"]])
def test_weak_key_is_refused(keys: list[str]) -> None:
    """A key that can be guessed is said to be none."""
    with pytest.raises(KeyUnusable):
        Sealer(keys)
