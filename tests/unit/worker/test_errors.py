from __future__ import annotations

import copy
import pickle

import pytest

from worker import errors
from worker.errors import TokenRefused, TokenUnavailable, UsherError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UsherError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_sentence(kind: type[UsherError]) -> None:
    """Raised bare, an error still tells a person something."""
    assert str(kind()) == (kind.__doc__ or "").strip()
    assert str(kind("Own words.")) == "Own words."


@pytest.mark.parametrize("make", [pickle.dumps, copy.copy])
def test_errors_travel_whole(make: object) -> None:
    """Between processes and to several waiters, nothing of an error is lost."""
    for error in (
        TokenRefused("No.", code="AADSTS7000215", fingerprint="abc"),
        TokenUnavailable("Later.", retry_after_s=3.0, code="AADSTS90055"),
    ):
        twin = copy.copy(error) if make is copy.copy else pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)
