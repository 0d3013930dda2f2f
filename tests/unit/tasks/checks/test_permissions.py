"""Each permission with its reason, the smallest that does; the ticket holds all that an
administrator asks back.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.connections.consenting import consent_url, hosts_of, ticket_text
from config.reader import parse_connection
from tasks.checks.connection import _roles
from tasks.checks.permissions import FEATURES, STEPS, USUAL, needs_of, read_features, tell_steps
from tests.standins import CONTOSO
from worker.channels import INVITE
from worker.operations.registry import OPERATIONS

ROOT = Path(__file__).resolve().parents[4]
SETUP = (ROOT / "docs/entra-setup.md").read_text(encoding="utf-8")
TABLE = {
    "tenant_id": "11111111-2222-3333-4444-555555555555",
    "client_id": "6f2c3d0a-0000-0000-0000-000000000001",
    "client_secret": "env:X",
}


def test_one_permission_is_asked_for_once_with_all_its_reasons() -> None:
    """Looking up and tracking both read users."""
    needs = needs_of(("invite", "lookup", "tracking"))
    assert [need.permission for need in needs] == ["User.Invite.All", "User.Read.All"]
    assert "mailed twice" in needs[1].reason
    assert "accepted" in needs[1].reason


@pytest.mark.parametrize("feature", FEATURES)
def test_a_larger_permission_will_do(feature: str) -> None:
    """A token with everything lacks nothing; one without roles lacks all of it."""
    everything = frozenset(
        {
            "Directory.ReadWrite.All",
            "Policy.Read.All",
            "Policy.ReadWrite.B2BManagementPolicy",
            "CrossTenantInformation.ReadBasic.All",
            "TeamMember.ReadWrite.All",
            "Mail.Send",
            "RoleManagement.ReadWrite.Directory",
            "AuditLog.Read.All",
        }
    )
    assert all(need.is_met(everything) for need in FEATURES[feature])
    assert not any(need.is_met(frozenset()) for need in FEATURES[feature])


@pytest.mark.parametrize("feature", ["lookup", "tracking"])
@pytest.mark.parametrize("permission", ["User.Read.All", "User.ReadUpdate.All", "User.ReadWrite.All"])
def test_either_the_old_or_the_new_permission_will_do(feature: str, permission: str) -> None:
    """Microsoft divided `User.ReadWrite.All` into narrower ones; whoever has either need not ask
    for the other.
    """
    assert all(need.is_met(frozenset({permission})) for need in FEATURES[feature])


def test_for_takes_known_words_only() -> None:
    """And repeats none."""
    assert read_features("invite, tracking,invite") == ("invite", "tracking")
    for text in ("", "invite,post"):
        with pytest.raises(ValueError, match="must be of invite, "):
            read_features(text)


def test_the_ticket_is_complete() -> None:
    """Link, permissions with reasons, hosts and ports of that cloud."""
    connection = parse_connection("gov", TABLE | {"cloud": "usgov"})
    text = ticket_text(connection, needs_of(USUAL))
    assert consent_url(connection) in text
    assert consent_url(connection).startswith("https://login.microsoftonline.us/11111111-")
    assert hosts_of(connection) == [("login.microsoftonline.us", "443"), ("graph.microsoft.us", "443")]
    for need in needs_of(USUAL):
        assert f"{need.permission}\n      {need.reason}." in text


def test_the_ticket_names_the_steps_that_it_does_not_ask_for() -> None:
    """Each with its least permission; one that another permission covers is not named."""
    connection = parse_connection("contoso", TABLE)
    text = ticket_text(connection, needs_of(USUAL))
    for step, need in STEPS.items():
        if step != INVITE:
            assert re.search(rf"^  {re.escape(need.permission)} .*\(--for {step}\)$", text, re.MULTILINE)
    assert "(--for invite)" not in text
    assert "(--for profile)" not in ticket_text(connection, needs_of([*USUAL, "sponsors"]))


def test_the_ticket_names_the_check_of_what_it_asks_for() -> None:
    """What was named by `--for` is what the check is to look at."""
    connection = parse_connection("contoso", TABLE)
    assert ticket_text(connection, needs_of(USUAL)).endswith("usher connections check contoso")
    text = ticket_text(connection, needs_of(["clean", "undo"]), ("clean", "undo"))
    assert text.endswith("usher connections check contoso --for clean,undo")


@pytest.mark.parametrize("features", [["clean", "undo"], list(FEATURES)])
def test_nothing_is_said_twice_of_a_permission(features: list[str]) -> None:
    """Reasons and consequences of several features are joined, each once."""
    for need in needs_of(features):
        for said in (need.reason.split("; "), need.without.split("; ")):
            assert len(said) == len(set(said))


def test_what_was_asked_for_and_is_granted_is_told() -> None:
    """A check with `--for` shows a line for it, or the permission that is missing."""
    connection = parse_connection("contoso", TABLE)
    roles = frozenset(need.permission for need in needs_of(["clean"]))
    lines = [finding.what for finding in _roles(connection, roles, ("clean",)) if finding.ok]
    assert [line for line in lines if line.startswith("The app has all that clean needs: ")]
    lacking = [finding.what for finding in _roles(connection, roles - {"AuditLog.Read.All"}, ("clean",))]
    assert not [line for line in lacking if "all that clean needs" in line]
    assert [line for line in lacking if line.startswith("Missing: the application permission AuditLog.Read.All")]


def test_the_page_knows_every_permission_and_every_word() -> None:
    """docs/entra-setup.md names what `--for` takes, with its permissions."""
    rows = {match[1]: match[2] for match in re.finditer(r"^\| `([a-z-]+)` \|(.+)\|$", SETUP, re.MULTILINE)}
    assert set(rows) >= set(FEATURES)
    for feature, needs in FEATURES.items():
        assert [need.permission for need in needs if f"`{need.permission}`" not in rows[feature]] == []
        if len(needs) == 1:  # the others are made of these
            assert [name for name in needs[0].also if f"`{name}`" not in rows[feature]] == [], feature


@pytest.mark.parametrize("name", STEPS)
def test_each_step_names_the_least_permission_and_those_that_include_it(name: str) -> None:
    """The table is the operations' own; any of the permissions will do, none is not enough."""
    rules = OPERATIONS[name].rules
    for permission in (rules.permission, *rules.also):
        assert STEPS[name].is_met(frozenset({permission}))
        assert rules.is_granted(frozenset({permission})) is True
    assert not STEPS[name].is_met(frozenset({"Sites.Read.All"}))
    assert rules.is_granted(frozenset()) is (False if rules.is_shown else None)
    assert rules.is_granted(None) is None


def test_a_plan_tells_which_stage_would_wait() -> None:
    """With the least permission that it lacks; of one that is there, or cannot be seen, nothing."""
    (told,) = tell_steps(["profile"], frozenset({"User.Invite.All"})).values()
    assert "User.ReadUpdate.All" in told
    assert "stage profile would wait" in told
    assert tell_steps(["profile"], frozenset({"User.ReadWrite.All"})) == {}
    assert tell_steps(["profile"], None) == {}


def test_a_team_is_found_before_anybody_is_put_into_it() -> None:
    """What a stage reads is asked for with what it writes, and told of where it lacks; where the
    right to write includes it, it is not asked for.
    """
    team = "TeamMember.ReadWriteNonOwnerRole.All"
    assert [need.permission for need in needs_of(["teams"])] == [team, "GroupMember.Read.All"]
    assert [need.permission for need in needs_of(["groups"])] == ["GroupMember.ReadWrite.All"]
    (told,) = tell_steps(["teams"], frozenset({team})).values()
    assert "permission GroupMember.Read.All and" in told
    assert tell_steps(["teams"], frozenset({team, "Group.Read.All"})) == {}
    said = [finding.what for finding in _roles(CONTOSO, frozenset({team}), ())]
    assert any("Granting GroupMember.Read.All would" in text for text in said)


def test_a_check_says_of_each_stage_whether_the_app_may() -> None:
    """Also of those that `--for` names."""
    roles = frozenset({"User.Invite.All", "GroupMember.ReadWrite.All"})
    good = "The app may add guests to groups."
    for features in ((), ("groups",)):
        assert [finding.ok for finding in _roles(CONTOSO, roles, features) if finding.what == good] == [True]


@pytest.mark.parametrize(
    "name", [name for name, one in OPERATIONS.items() if type(one).__module__.startswith("worker.")]
)
def test_what_an_operation_needs_can_be_asked_for(name: str) -> None:
    """`--for NAME` asks for the permission whose want holds the operation's channel."""
    assert OPERATIONS[name].rules.permission in {need.permission for need in needs_of([name])}
