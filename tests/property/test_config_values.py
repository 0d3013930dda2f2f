from __future__ import annotations

import math
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from config.references import Reference
from config.values import LONGEST_S, Limit, mask_url, parse_seconds

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@given(st.integers(1, 3650), st.sampled_from(sorted(_UNITS)), st.sampled_from(["", " "]))
def test_a_length_with_a_unit_is_its_product(number: int, unit: str, blank: str) -> None:
    """Number times unit, whatever the unit."""
    assert parse_seconds(f"{number}{blank}{unit}") == number * _UNITS[unit]


@given(st.one_of(st.text(max_size=12), st.text("0123456789.smhd /-+e", max_size=12), st.floats(), st.integers()))
def test_a_length_is_positive_and_finite_or_refused(value: object) -> None:
    """Whatever is written, no zero, negative, endless or undefined time gets through, and nothing
    but ValueError comes out.
    """
    with suppress(ValueError):
        seconds = parse_seconds(value)
        assert 0 < seconds <= LONGEST_S
        assert math.isfinite(seconds)


@given(st.integers(1, 10**9), st.integers(1, 10**12))
def test_a_limit_shown_can_be_read_again(amount: int, per_us: int) -> None:
    """`str()` of a limit means the same limit."""
    limit = Limit(amount, per_us / 1_000_000) if per_us / 1_000_000 <= LONGEST_S else Limit(amount, 1.0)
    assert Limit.parse(str(limit)) == limit


@given(st.one_of(st.text(max_size=12), st.text("0123456789./smhd ", max_size=12), st.none(), st.integers()))
def test_a_limit_is_usable_or_refused(value: object) -> None:
    """Whatever is written, a limit has a positive rate or is refused with ValueError."""
    with suppress(ValueError):
        limit = Limit.parse(value)
        assert limit.amount >= 1
        assert 0 < limit.amount / limit.per_s < math.inf


@given(
    st.text(max_size=12),
    st.text(max_size=12),
    st.sampled_from(["redis://u:{}@host/0", "amqp://{}@h", "unix:///s?password={}"]),
)
def test_no_password_survives_masking(before: str, after: str, form: str) -> None:
    """However badly a password is encoded, it is not to be seen in the masked URL."""
    if "?" in form:  # there an & ends the value, by any reading
        before, after = before.replace("&", ""), after.replace("&", "")
    assert "hunter2" not in mask_url(form.format(before + "hunter2" + after))


@given(st.text(max_size=30))
def test_a_refused_reference_is_not_repeated(text: str) -> None:
    """The reason for refusing a literal is the same whatever the literal."""
    try:
        Reference.parse(text)
    except ValueError as error:
        assert str(error) in {  # noqa: PT017 - most texts raise, the rest are references
            "must be env:NAME or file:/path; a literal in the file would be a leak",
            "must name an environment variable after env: (letters, digits and _)",
            "must name a file after file: (absolute, or relative to the configuration file)",
        }
