"""The dry run against what the real run then does, row by row: the real CLI and worker."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

ROLES = ",".join(
    (
        *("User.Invite.All", "User.Read.All", "Organization.Read.All", "Policy.Read.All"),
        *("Policy.Read.B2BManagementPolicy", "CrossTenantInformation.ReadBasic.All"),
    )
)
WOULD_OF = {"invited": "invite", "already_guest": "skip", "skipped": "skip", "failed": "refuse", "pending": "refuse"}
"""What a dry run should have said of a row that ended so; what waits behind a hold is refused for
now.
"""


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """One worker and several connections to one tenant; `blind` may not read anything."""

    def tables(ready: dict[str, Any]) -> str:
        own = {"blocked_domains": '["rival.example"]'}
        return "\n".join(
            (
                connection_table("contoso", ready, **own),
                connection_table("eager", ready, precheck="false", **own),
                connection_table("closed", ready, **own),
            )
        )

    options = ("--quota", "off", "--replication", "0", "--roles", ROLES)
    with run_usher(folder, sandbox_options=options, tables=tables) as running:
        yield running


def tell(usher: Usher, *arguments: str, **env: str) -> tuple[int, dict[str, Any]]:
    """The same with --json."""
    status, out, _ = usher.run(*arguments, "--json", **env)
    told: dict[str, Any] = json.loads(out)
    return status, told


def everybody(usher: Usher) -> Path:
    """A list that meets everything the seed tenant has, and guests who are new each time."""
    new = uuid.uuid4().hex[:8]
    rows = [
        *(f"{name}{new}@fabrikam.example," for name in ("a", "b", "c")),
        *(f"{name}@contoso.example," for name in ("ada", f"nobody{new}")),
        *(f"{name}@partner.example," for name in ("linus", "margaret", "pending", "disabled", "deleted")),
        f"x{new}@blocked.example,",
        f"y{new}@blocked.example,",
        f"x{new}@crosstenant.example,",
        f"x{new}@rival.example,",
        f"m{new}@fabrikam.example,Member",
        f"A{new}@Fabrikam.example,",
        "no address,",
        f"before{new}@fabrikam.example,",
        f"d{new}@gmial.com,",
    ]
    assert usher.ask("usher.invite_guest", "contoso", f"before{new}@fabrikam.example")["status"] == "invited"
    path = usher.folder / f"list-{new}.csv"
    path.write_text("email,user_type\n" + "\n".join(rows) + "\n")
    return path


def foreseen(usher: Usher, path: Path, *options: str) -> dict[int, tuple[str, str]]:
    """Each row's verdict and its reason."""
    out = usher.folder / "would.csv"
    status, _, said = usher.run("invite", str(path), *options, "--dry-run", "-o", str(out))
    assert status == 1, said
    assert out.stat().st_mode & 0o777 == 0o600
    with out.open(newline="") as file:
        return {number: (row["would"], row["why"]) for number, row in enumerate(csv.DictReader(file), 1)}


def really(usher: Usher, path: Path, *options: str, status: int = 1) -> tuple[str, dict[int, str]]:
    """Send the list; how each row ended."""
    got, told = tell(usher, "invite", str(path), *options, "--yes")
    assert got == status, told
    lines = usher.run("jobs", "results", told["job"], "--format", "jsonl")[1].splitlines()
    return told["job"], {row["row"]: row["status"] for row in map(json.loads, lines)}


def compare(verdicts: dict[int, tuple[str, str]], ended: dict[int, str]) -> None:
    """Row by row."""
    assert {row: would for row, (would, _) in verdicts.items()} == {
        row: WOULD_OF[status] for row, status in ended.items()
    }


def mailed(usher: Usher) -> int:
    """How many mails the sandbox has sent."""
    return int(usher.sandbox.ask("stats")["mails"]["total"])


@pytest.mark.parametrize(
    "options",
    [("-c", "contoso"), ("-c", "contoso", "--resend"), ("-c", "eager"), ("-c", "eager", "--resend")],
    ids=" ".join,
)
def test_what_it_foresees_is_what_happens(usher: Usher, options: tuple[str, ...]) -> None:
    """Guests, members, disabled, deleted and pending users, a deny list, partners, and what the
    list itself gets wrong.
    """
    path = everybody(usher)
    before = mailed(usher)
    verdicts = foreseen(usher, path, *options)
    assert mailed(usher) == before
    compare(verdicts, really(usher, path, *options)[1])
    usher.sandbox.ask("reset", {})


def test_a_closed_policy_and_an_allow_list_are_foreseen(usher: Usher) -> None:
    """With an allow list only its domains go; with invitations switched off nobody does, and the
    rows wait, held.
    """
    path = everybody(usher)
    usher.sandbox.ask("policy", {"allowed_domains": ["partner.example"]})
    verdicts = foreseen(usher, path, "-c", "contoso")
    compare(verdicts, really(usher, path, "-c", "contoso")[1])
    usher.sandbox.ask("policy", {"allowed_domains": None, "allow_invites_from": "none"})
    path = usher.folder / "closed.csv"
    path.write_text("email\nlinus@partner.example\ndisabled@partner.example\nnew@other.example\nx@blocked.example\n")
    verdicts = foreseen(usher, path, "-c", "closed")
    assert verdicts[3][0] == "refuse"
    assert "guest invite settings" in verdicts[3][1]
    job, ended = really(usher, path, "-c", "closed", "--wait", "1s", status=3)
    compare(verdicts, ended)
    assert usher.run("jobs", "cancel", job)[0] == 0  # or it would send once the gate is tried again, in another test
    usher.sandbox.ask("reset", {})


def test_rows_that_ask_for_members_are_counted(usher: Usher) -> None:
    """Those that would be invited so: in a dry run, before the question of the real one, not where
    the column is left out.
    """
    path = usher.folder / "members.csv"
    people = "ann@one.example,Guest\nbob@one.example,Member\ncy@one.example,member\nlinus@partner.example,Member\n"
    path.write_text(f"email,userType\n{people}ann@one.example,Member\n")
    words = "rows ask for members, not guests (user_type): a member may"
    assert tell(usher, "invite", str(path), "-c", "contoso", "--dry-run")[1]["plan"]["members"] == 0  # the app may not
    usher.sandbox.ask("policy", {"roles": [*ROLES.split(","), "User.ReadWrite.All"]})
    told = tell(usher, "invite", str(path), "-c", "contoso", "--dry-run")[1]["plan"]
    assert told["members"] == 2
    assert [risk.partition(" see ")[0] for risk in told["risks"]] == [f"2 {words}"]
    told = tell(usher, "invite", str(path), "-c", "contoso", "--map", "user_type=", "--dry-run")[1]["plan"]
    assert (told["members"], told["to_send"], told["risks"]) == (0, 3, [])
    usher.sandbox.ask("tokens", {"action": "revoke"})  # the worker's knows nothing of the new role
    status, _, said = usher.run("invite", str(path), "-c", "contoso")
    assert (status, f"! 2 {words}" in said) == (0, True), said
    usher.sandbox.ask("policy", {"roles": ROLES.split(",")})
    usher.sandbox.ask("tokens", {"action": "revoke"})  # the worker's
    assert usher.run("connections", "check", "contoso")[0] == 0
    usher.sandbox.ask("reset", {})


def test_it_says_what_it_saw_and_what_it_may_not_see(usher: Usher) -> None:
    """Domains with slips, private providers, the numbers; each missing permission by name; --json
    keeps its keys.
    """
    path = usher.folder / "slips.csv"
    path.write_text("email\na@gmial.com\nb@gmail.com\nc@fabrikam.example\n")
    status, told = tell(usher, "invite", str(path), "-c", "contoso", "--dry-run")
    assert (status, told["state"], told["rows"], told["cancelled"], told["plan"]["mails"]) == (0, "cancelled", 3, 3, 3)
    assert told["plan"]["would"] == {"invite": 3, "skip": 0, "refuse": 0}
    assert (told["plan"]["lookalikes"], told["plan"]["private"]) == ({"gmial.com": "gmail.com"}, 1)
    assert (told["plan"]["not_checked"], told["plan"]["more_domains"]) == ([], 0)
    many = usher.folder / "domains.csv"
    many.write_text("email\n" + "".join(f"a@d{n}.example\n" for n in range(13)))
    plan = tell(usher, "invite", str(many), "-c", "contoso", "--dry-run")[1]["plan"]
    assert (len(plan["domains"]), plan["more_domains"]) == (10, 3)
    usher.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    usher.sandbox.ask("tokens", {"action": "revoke"})
    status, out, _ = usher.run("invite", str(path), "-c", "contoso", "--dry-run")
    assert (status, "did they mean gmail.com?" in out) == (0, True)
    for permission in ("User.Read.All", "Policy.Read.All", "Organization.Read.All", "Policy.Read.B2BManagementPolicy"):
        assert f"grant the app {permission}" in out
    usher.sandbox.ask("policy", {"roles": ROLES.split(",")})
    usher.sandbox.ask("tokens", {"action": "revoke"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a@b.example", "-c", "contoso", "-o", "x.csv"), "-o belongs to --dry-run"),
        (("-c", "contoso"), "Missing argument"),
        (("a@b.example",), "Missing option"),
        (("a@b.example", "-c", "contoso", "--dry-run", "-o", "x.json"), "signed off by approval"),
        (("a@b.example", "-c", "contoso", "--dry-run", "-o", "no/such/folder.csv"), "cannot be written"),
    ],
)
def test_what_does_not_fit_together_is_refused(usher: Usher, arguments: tuple[str, ...], said: str) -> None:
    """Status 2 and a sentence."""
    status, told = tell(usher, "invite", *arguments)
    assert (status, said in told["error"]) == (2, True), told


def test_a_list_of_very_many_domains_is_looked_at(usher: Usher) -> None:
    """Each domain's tenant is asked for, a few at a time; the slow part is the tenant's, not
    ours.
    """
    path = usher.folder / "domains.csv"
    path.write_text("email\n" + "".join(f"a@partner{n}.example\n" for n in range(600)) + "b@crosstenant.example\n")
    status, told = tell(usher, "invite", str(path), "-c", "contoso", "--dry-run")
    assert (status, told["plan"]["would"]) == (1, {"invite": 600, "skip": 0, "refuse": 1})
