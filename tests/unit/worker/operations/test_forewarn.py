"""Sponsors are told once of each end, in one mail for their guests together."""

from __future__ import annotations

from typing import Any

from config.reader import load_settings
from tests.configs import build_connection
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.forewarn import Forewarn
from worker.operations.operation import Asked, Look

FOREWARN, CONNECTION = Forewarn(), build_connection()
DAY = "2027-01-31"


class Notes:
    """Remembers ends without a server."""

    def __init__(self, *told: str) -> None:
        self.told = dict.fromkeys(told, "other")

    async def note_ends(self, tenant_key: str, job: str, ends: dict[int, tuple[str, str]]) -> set[int]:
        """Note them, but those that another job has told of."""
        return {row for row, (guest, _) in ends.items() if self.told.setdefault(guest, job) != job}

    async def take_back_ends(self, tenant_key: str, ends: dict[int, tuple[str, str]]) -> None:
        """Forget them."""
        for guest, _ in ends.values():
            self.told.pop(guest, None)


def asked(index: int, *, target: str = "s1", ends: str = DAY, enabled: bool = True, member: bool = False) -> Asked:
    """Return a row, and its guest as the tenant has them now."""
    row = {
        "email": f"g{index}@partner.example",
        "user_id": f"id{index}",
        "display_name": f"Guest {index}",
        "expires": DAY,
        "sponsors": [f"{one}@contoso.example" for one in target.split(",")],
        "language": "de",
        "target": target,
    }
    more = {"onPremisesExtensionAttributes": {"extensionAttribute10": ends}}
    return Asked(index, row, DirectoryUser(f"id{index}", None, member, enabled=enabled, more=more))


def test_one_mail_for_the_guests_of_the_same_sponsors() -> None:
    """To the first, with a copy to the second; a line a guest. It takes one mail of the quota."""
    rows = [asked(0), asked(1), asked(2, target="s1,s2")]
    first, second = FOREWARN.build(rows, CONNECTION, Options())
    assert (first.rows, second.rows) == ((0, 1), (2,))
    assert first.mail is not None
    assert second.mail is not None
    assert (first.mail.to, first.mail.cc, first.mail.language) == ("s1@contoso.example", "", "de")
    assert first.mail.more["guests"].splitlines() == [f"{DAY}  Guest {n} (g{n}@partner.example)" for n in range(2)]
    assert (second.mail.to, second.mail.cc) == ("s1@contoso.example", "s2@contoso.example")
    settings = load_settings({})
    (bucket,) = FOREWARN.buckets(settings, CONNECTION, rows)
    assert bucket.cost * len(rows) == 1


async def test_each_end_is_told_once() -> None:
    """Not by two jobs, and not of a day that is another now; a refused one is told of anew."""
    ask: Any = Asking(lambda request: found())
    ask.reminders = Notes("id1")
    rows = [asked(0), asked(1), asked(2, ends="2027-06-30"), asked(3, ends="")]
    ended = await FOREWARN.compare(ask, rows, CONNECTION, Options())
    told = {index: one.code for index, one in ended.items() if isinstance(one, Outcome)}
    assert told == {1: "told_before", 2: "another_end", 3: "another_end"}
    assert await FOREWARN.compare(ask, rows[:1], CONNECTION, Options()) == {}  # by its own note
    assert ask.reminders.told["id0"] == "abc"
    await FOREWARN.take_back(ask, rows[:1], CONNECTION)
    assert "id0" not in ask.reminders.told


def test_only_guests_who_may_sign_in_are_named() -> None:
    """Everybody is looked up just before."""
    assert FOREWARN.look(CONNECTION, Options(), suspect=False) is Look.MUST
    for one in (asked(0, enabled=False), asked(0, member=True)):
        outcome = FOREWARN.judge_seen(Asked(0, one.row, one.user), Options())
        assert outcome is not None
        assert outcome.letter is RowState.SKIPPED
    assert FOREWARN.judge_seen(Asked(0, asked(0).row, None), Options()) is not None
    assert FOREWARN.judge_seen(Asked(0, asked(0).row, asked(0).user), Options()) is None
