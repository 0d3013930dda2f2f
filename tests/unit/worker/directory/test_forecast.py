"""What would become of a row, by what was read; nothing but values. That it is so is
`tests/integration/tasks/test_dry_run.py`'s.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.directory.forecast import foresee
from worker.directory.rules import (
    is_inbound_blocked,
    read_deleted,
    read_domains,
    read_lists,
    read_partners,
)
from worker.graph.users import DirectoryUser
from worker.ledger.model import RESEND, KnownRow, Options
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import TenantRules

GUEST = DirectoryUser("u", None, False, True)
PENDING = DirectoryUser("u", None, False, True, pending=True)
DISABLED = DirectoryUser("u", None, False, False)
MEMBER = DirectoryUser("u", None, True, True)
NOTHING, UNKNOWN = Seen(), TenantRules()
INVITER = frozenset({"User.Invite.All"})


def judge(
    seen: Seen = NOTHING,
    rules: TenantRules = UNKNOWN,
    address: str = "a@fabrikam.example",
    *,
    prechecked: bool = True,
    resend: bool = False,
    **row: Any,
) -> Foreseen:
    """Judge one row."""
    row, options = {"email": address, **row}, Options(resend=resend)
    return foresee(find_operation("invite"), row, address, seen, rules, options, prechecked=prechecked)


@pytest.mark.parametrize(
    ("user", "prechecked", "would"),
    [
        (GUEST, True, Would.SKIP),
        (GUEST, False, Would.SKIP),
        (PENDING, True, Would.SKIP),
        (PENDING, False, Would.DO),  # a new link, and a second mail
        (DISABLED, True, Would.REFUSE),
        (DISABLED, False, Would.REFUSE),
        (MEMBER, True, Would.REFUSE),
        (MEMBER, False, Would.SKIP),
    ],
)
def test_who_is_there_already(user: DirectoryUser, prechecked: bool, would: Would) -> None:
    """Looked up before the first send, or met by Graph itself."""
    assert judge(Seen(user=user), prechecked=prechecked).would is would


def test_who_was_invited_lately_is_skipped_unless_resent() -> None:
    """The index comes first, as in the real run."""
    seen = Seen(known=KnownRow(0, 20_000, "j1"), user=DISABLED)
    assert judge(seen).code == "invited_before"
    assert judge(seen, resend=True, prechecked=False).code == "account_disabled"
    row: dict[str, Any] = {RESEND: True}
    assert judge(Seen(known=seen.known, user=PENDING), UNKNOWN, "a@fabrikam.example", **row).would is Would.DO


ACCEPTED = DirectoryUser("u", None, False, True, accepted=True)


@pytest.mark.parametrize("known", [None, KnownRow(0, 20_000, "j1")], ids=["there", "invited lately"])
@pytest.mark.parametrize(
    ("user", "says"),
    [
        (ACCEPTED, "not with --resend either"),
        (PENDING, "to mail the invitation again, submit the row with --resend."),
        (GUEST, "only to a guest who has not accepted"),
    ],
)
def test_resend_is_advised_only_where_graph_would_mail_again(
    known: KnownRow | None, user: DirectoryUser, says: str
) -> None:
    """Whoever has accepted is told so; where nobody can tell, the condition stands beside the
    advice.
    """
    assert says in judge(Seen(known=known, user=user)).why


def test_resend_is_not_advised_where_graph_itself_refuses_it() -> None:
    """Its answer "already exists" is given to those who can sign in, whom it does not mail."""
    assert "not with --resend either" in judge(Seen(user=GUEST), prechecked=False).why


@pytest.mark.parametrize(
    ("rules", "closed"),
    [
        (TenantRules(), ""),
        (TenantRules(roles=frozenset({"User.Read.All"})), "permission"),
        (TenantRules(roles=INVITER, invites_from="none"), "policy"),
        (TenantRules(roles=INVITER, invites_from="adminsAndGuestInviters"), ""),
        (TenantRules(roles=frozenset({"User.ReadWrite.All"}), invites_from="adminsAndGuestInviters"), "policy"),
        (TenantRules(invites_from="adminsAndGuestInviters"), ""),  # nobody can tell
    ],
)
def test_who_may_invite(rules: TenantRules, closed: str) -> None:
    """By the token's permissions and the tenant's policy."""
    assert rules.closed == closed
    assert judge(rules=rules).would is (Would.REFUSE if closed else Would.DO)


def test_domains_are_refused_by_who_refuses_them() -> None:
    """Own, denied, not allowed, a partner's; subdomains are domains of their own."""
    rules = TenantRules(domains=frozenset({"own.example"}), blocked=frozenset({"bad.example"}))
    assert judge(rules=rules, address="a@own.example").code == "own_domain"
    assert judge(rules=rules, address="a@bad.example").code == "blocked_domain"
    assert judge(rules=rules, address="a@sub.bad.example").would is Would.DO
    allowing = TenantRules(allowed=frozenset({"good.example"}))
    assert judge(rules=allowing, address="a@good.example").would is Would.DO
    assert judge(rules=allowing).code == "blocked_domain"
    assert judge(Seen(partner_blocked=True)).code == "cross_tenant"


def test_what_is_invited_with_a_word() -> None:
    """Deleted lately, not looked up, a member that a plain app may not invite."""
    rules = TenantRules(roles=INVITER, deleted={"a@fabrikam.example": "2026-11-01"})
    assert "2026-11-01" in judge(rules=rules).why
    assert judge(rules=rules).would is Would.DO
    assert judge(Seen(looked_up=False)).code == "not_looked_up"
    assert judge(rules=rules, user_type="Member").would is Would.REFUSE


def test_settings_are_read_whatever_stands_in_them() -> None:
    """Both forms of the domains, the policy's JSON in a text, partners and the bin; what is none of
    them is passed over.
    """
    organization = {"value": [{"verifiedDomains": [{"name": "Own.Example"}, None, {}]}, None]}
    assert read_domains(organization) == {"own.example"}
    assert read_domains({"value": [{"id": "a.example", "isVerified": True}, {"id": "b.example"}]}) == {"a.example"}
    allowed, denied = read_lists([{"definition": [_lists("BlockedDomains"), "{", "[]", None]}, {}, None])
    assert (allowed, sorted(denied)) == (None, ["bad.example"])
    allowed, denied = read_lists([{"definition": [_lists("AllowedDomains")]}])
    assert (sorted(allowed or ()), sorted(denied)) == (["bad.example"], [])
    blocked = {"usersAndGroups": {"accessType": "blocked", "targets": [{"target": "AllUsers"}]}}
    some = {"usersAndGroups": {"accessType": "blocked", "targets": [{"target": "some-group"}]}}
    partners = read_partners(
        [
            {"tenantId": "T1", "b2bCollaborationInbound": blocked},
            {"tenantId": "t2", "b2bCollaborationInbound": some},
            {"tenantId": "t3", "b2bCollaborationInbound": None},
            "?",
        ]
    )
    assert partners == {"t1": True, "t2": False, "t3": None}
    assert is_inbound_blocked(None) is None
    deleted = [{"mail": "A@b.example", "otherMails": ["c@d.example"], "deletedDateTime": "2026-11-01T00:00:00Z"}, 7]
    assert read_deleted(deleted) == {"a@b.example": "2026-11-01", "c@d.example": "2026-11-01"}


def test_partners_are_blocked_one_by_one_or_all_but_some() -> None:
    """As the default says, where a partner's own configuration says nothing."""
    one = TenantRules(blocked_partners=frozenset({"t1"}))
    assert (one.refuses_tenant("t1"), one.refuses_tenant("t2"), one.asks_for_partners) == (True, False, True)
    rest = TenantRules(all_partners_blocked=True, allowed_partners=frozenset({"t2"}))
    assert (rest.refuses_tenant("t1"), rest.refuses_tenant("t2")) == (True, False)
    assert not TenantRules().asks_for_partners


def _lists(name: str) -> str:
    return json.dumps({"B2BManagementPolicy": {"InvitationsAllowedAndBlockedDomainsPolicy": {name: ["Bad.example"]}}})
