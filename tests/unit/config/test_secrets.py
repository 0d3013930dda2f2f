from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import traceback

import pytest
from pydantic import BaseModel

from config.secrets import Secret

HIDDEN = "correct-horse-battery"


class _Model(BaseModel):
    secret: Secret


@dataclasses.dataclass
class _Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda s: f"{s}",
        lambda s: f"{s!r:>40}",
        lambda s: f"{s:>40}",
        lambda s: "%s %r" % (s, s),  # noqa: UP031 - the form that logging uses
        lambda s: repr([s, {"k": s}, (s,)]),
        lambda s: repr(_Holder(s)) + repr(dataclasses.asdict(_Holder(s))),
        lambda s: repr(_Model(secret=s)) + str(_Model(secret=s)),
        lambda s: _Model(secret=s).model_dump_json() + repr(_Model(secret=s).model_dump()),
        lambda s: repr(copy.copy(s)) + repr(copy.deepcopy(s)) + repr(copy.deepcopy(_Holder(s))),
        lambda s: json.dumps({"s": s}, default=str),
        lambda s: repr(dir(s)),
    ],
)
def test_a_secret_is_never_shown(show: object) -> None:
    """No ordinary way of showing a secret, or of showing what holds it, shows its text."""
    assert callable(show)
    shown = show(Secret(HIDDEN))
    assert HIDDEN not in shown


def test_a_secret_is_not_serialised() -> None:
    """Pickle and JSON refuse a secret, and their refusals do not hold it."""
    for dump in (pickle.dumps, json.dumps, lambda s: pickle.dumps(_Holder(s)), lambda s: s.__getstate__()):
        with pytest.raises(TypeError) as caught:
            dump(Secret(HIDDEN))
        assert HIDDEN not in "".join(traceback.format_exception(caught.value))


def test_a_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A log line with a secret as argument shows the mask."""
    logging.getLogger("t").warning("token %s", Secret(HIDDEN))
    assert caplog.messages == ["token ***"]


def test_a_secret_has_no_dict_and_does_not_change() -> None:
    """vars() finds nothing and nobody swaps the text."""
    secret = Secret(HIDDEN)
    assert not hasattr(secret, "__dict__")
    with pytest.raises(AttributeError, match="cannot be changed"):
        secret.x = 1
    with pytest.raises(AttributeError, match="cannot be changed"):
        del secret._Secret__value  # type: ignore[attr-defined]
    assert secret.reveal() == HIDDEN


def test_secrets_compare_by_text_and_have_no_hash() -> None:
    """Equal texts are equal, a plain str is never equal, and a set cannot hold them."""
    assert Secret("ä\ud800") == Secret("ä\ud800")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    with pytest.raises(TypeError):
        hash(Secret("a"))


def test_a_secret_is_made_from_text_only() -> None:
    """Bytes are refused without being repeated, in pydantic too."""
    with pytest.raises(TypeError, match="not bytes"):
        Secret(b"x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be text") as caught:
        _Model(secret=5)  # type: ignore[arg-type]
    assert caught.type.__name__ == "ValidationError"
    assert _Model(secret="x").secret == Secret("x")  # type: ignore[arg-type]
