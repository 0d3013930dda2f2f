"""Fixtures of the tests of what people ask for."""

from __future__ import annotations

import pytest

from tests.beats import Beats
from tests.sites import Site


@pytest.fixture
def beats(site: Site) -> Beats:
    """The beats of the site."""
    return Beats(site)
