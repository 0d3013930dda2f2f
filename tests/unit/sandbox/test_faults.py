from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.faults import Faults, load_faults, parse_document, parse_spec
from sandbox.options import OptionError


def _fired(faults: Faults, count: int, *operations: str) -> list[str]:
    return [fired.name for _ in range(count) if (fired := faults.for_request(operations or ("batch", "invite")))]


def test_chance_is_seeded() -> None:
    """The same seed gives the same faults, and about as many as asked for."""
    runs = [_fired(parse_spec("504=0.1,lost=0.05", seed), 2_000) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert 150 < runs[0].count("504") < 250


def test_every_and_times() -> None:
    """`1/N` strikes every Nth, `*K` at most K times."""
    assert len(_fired(parse_spec("reset=1/10", 0), 100)) == 10
    assert len(_fired(parse_spec("reset=1*3", 0), 100)) == 3
    assert len(_fired(parse_document([{"fault": "429", "skip": 5, "times": 1}], 0), 5)) == 0


def test_scope_and_operation() -> None:
    """A fault strikes what it names: an item, an operation; the login endpoint only if named."""
    faults = parse_spec("429@item@invite=1,500@users=1,503@token=1", 0)
    assert _fired(faults, 1, "batch", "invite") == []
    assert _fired(faults, 1, "users") == ["500"]
    assert _fired(faults, 1, "token") == ["503"]
    assert faults.for_item("users") is None
    assert faults.for_item("invite") is not None
    assert _fired(parse_spec("500=1", 0), 1, "token") == []


def test_before_and_after() -> None:
    """`lost` is after processing, `-before` and `-after` are what they say, a bare 504 is
    either.
    """

    def sides(spec: str) -> set[bool]:
        faults = parse_spec(spec, 0)
        return {fired.after for _ in range(50) if (fired := faults.for_request(("invite",)))}

    assert sides("lost=1") == {True}
    assert sides("504-before=1") == {False}
    assert sides("504-after=1") == {True}
    assert sides("504=1") == {True, False}
    assert sides("429=1") == sides("503=1") == {False}


def test_settings() -> None:
    """States of a tenant stand in the same spec."""
    assert parse_spec("abuse-after=40,invitations=off,secret=expired", 0).settings == {
        "abuse_after": 40,
        "allow_invites_from": "none",
        "secret": "expired",
    }


@pytest.mark.parametrize(
    "spec",
    [
        "504",
        "505=1",
        "504=2",
        "504=often",
        "504@nowhere=1",
        "reset@item=1",
        "secret=known",
        "abuse-after=soon",
        '{"faults": 1}',
        '[{"fault": "504", "when": "now"}]',
        '[{"fault": "504", "skip": "x"}]',
        "[",
        "/no/such/file",
    ],
)
def test_a_spec_is_read_strictly(spec: str) -> None:
    """A fault that would never strike is an error at the start."""
    with pytest.raises(OptionError):
        load_faults(spec, 0)


def test_file(tmp_path: Path) -> None:
    """A file may hold either form."""
    path = tmp_path / "faults"
    path.write_text('{"faults": [{"fault": "error", "on": "item", "status": 403, "code": "C", "message": "M"}]}')
    fired = load_faults(str(path), 0).for_item("invite")
    assert fired is not None
    assert (fired.status, fired.code, fired.message, fired.after) == (403, "C", "M", False)
    path.write_text("half=1/20")
    assert [fault.name for fault in load_faults(str(path), 0).items] == ["half"]
