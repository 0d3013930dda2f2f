from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from sandbox.options import QuotaOptions, SecondsRange

Item = Callable[..., dict[str, Any]]


def _message(body: Any) -> str:
    return str(body["error"]["message"])


def test_invitation_answers_like_graph(desk: Any) -> None:
    """A 201 has the documented properties, a redeem link with a ticket, and the new user's id."""
    status, body = desk.invite("new@partner.example", invitedUserDisplayName="New", sendInvitationMessage=True)
    assert status == 201
    assert body["status"] == "PendingAcceptance"
    assert body["invitedUserEmailAddress"] == "new@partner.example"
    assert body["resetRedemption"] is False
    assert body["sendInvitationMessage"] is True
    user = desk.tenant.find("new@partner.example")
    assert body["invitedUser"]["id"] == user.id
    assert f"ticket={user.ticket}" in body["inviteRedeemUrl"]
    assert desk.world.recorder.mailed[desk.tenant.id] == {"new@partner.example": 1}


def test_mail_is_sent_only_if_asked_for(desk: Any) -> None:
    """Graph's own default is no mail."""
    assert desk.invite("new@partner.example")[0] == 201
    assert desk.world.recorder.mails_total == 0


def test_inviting_a_pending_guest_again_kills_the_old_link(desk: Any) -> None:
    """Same user, new ticket, mailed again: what makes a blind retry harmful."""
    first = desk.invite("new@partner.example", sendInvitationMessage=True)[1]
    second = desk.invite("NEW@partner.example", sendInvitationMessage=True)[1]
    assert first["invitedUser"] == second["invitedUser"]
    assert first["inviteRedeemUrl"] != second["inviteRedeemUrl"]
    assert first["id"] != second["id"]
    assert desk.world.recorder.mails_max == 2
    assert desk.world.recorder.mailed_twice == {f"{desk.tenant.id} new@partner.example": 2}
    assert desk.world.recorder.invited_again == 1


@pytest.mark.parametrize(
    ("email", "text"),
    [
        ("linus@partner.example", "already exists in the directory as object ID"),
        ("ada@contoso.example", "already exists in the directory as object ID"),
        ("disabled@partner.example", "blocked from signing in"),
        ("nobody@contoso.example", "verified domain of this directory"),
        ("everyone@contoso.example", "Group email address is not supported"),
        ("contact@partner.example", "same value for property proxyAddresses"),
        ("a@blocked.example", "invitation is not allowed"),
        ("a@crosstenant.example", "cross-tenant access settings"),
        ("a@crosscloud.example", "Cross Cloud Worker"),
        ("a@uninvitable.example", "Please try a different email address"),
        ("no-at-sign", "Primary SMTP address"),
        ("two@@partner.example", "Primary SMTP address"),
        ("spa ce@partner.example", "Primary SMTP address"),
        ("a@nodot", "Primary SMTP address"),
        ("a@-bad.example", "Primary SMTP address"),
        ("a@1.2.3.4", "Primary SMTP address"),
        (".a@partner.example", "Primary SMTP address"),
    ],
)
def test_refused_addresses(desk: Any, email: str, text: str) -> None:
    """Every refusal that depends on the address can be met, and mails nobody."""
    before = len(desk.tenant.users)
    status, body = desk.invite(email, sendInvitationMessage=True)
    assert status == 400
    assert text in _message(body)
    assert body["error"]["code"] == "BadRequest"
    assert body["error"]["innerError"]["client-request-id"] == "the-callers-id"
    assert desk.world.recorder.mails_total == 0
    assert len(desk.tenant.users) == before


def test_addresses_that_pass(desk: Any) -> None:
    """Plus, apostrophe, sub-domains, international domains and short ones are addresses."""
    for email in ("a+b@partner.example", "o'neil@a.b.partner.example", "x@bücher.example", "y@x1.xn--p1ai"):
        assert desk.invite(email)[0] == 201, email


@pytest.mark.parametrize(
    ("spelling", "kept"),
    [
        ("given", "Ann@M\u00fcnchen.example"),
        ("ascii", "Ann@xn--mnchen-3ya.example"),
        ("unicode", "Ann@m\u00fcnchen.example"),
    ],
)
def test_international_domains_are_kept_as_told(desk: Any, spelling: str, kept: str) -> None:
    """How Entra keeps them is not documented, so a rehearsal can choose; the other spelling finds
    nobody.
    """
    desk.tenant.spelling = spelling
    assert desk.invite("Ann@M\u00fcnchen.example")[0] == 201
    (user,) = [user for user in desk.tenant.users.values() if user.display_name == "Ann"]
    assert (user.mail, user.other_mails, user.proxy_addresses) == (kept, (kept,), (f"SMTP:{kept}",))
    assert desk.tenant.find(kept) is user
    assert (desk.tenant.find("ann@xn--mnchen-3ya.example") is user) is (spelling == "ascii")


def test_documented_forbidden_characters_are_an_option(make_desk: Any) -> None:
    """Whether Graph enforces its list is not verified: both can be rehearsed."""
    desk = make_desk(forbid_characters=True)
    assert desk.invite("a+b@partner.example")[0] == 400
    assert desk.invite("-a@partner.example")[0] == 400
    assert desk.invite("a_b.c@partner.example")[0] == 201


@pytest.mark.parametrize(
    "change",
    [
        {"invitedUserEmailAddress": None},
        {"invitedUserEmailAddress": 5},
        {"inviteRedirectUrl": ""},
        {"inviteRedirectUrl": "example.com"},
        {"inviteRedirectUrl": "ftp://example.com"},
        {"sendInvitationMessage": "true"},
        {"invitedUserDisplayName": ["x"]},
        {"email": "x@partner.example"},
        {"id": "1"},
        {"status": "Completed"},
        {"invitedUserType": "Owner"},
        {"resetRedemption": True},
        {"resetRedemption": "yes"},
        {"invitedUserMessageInfo": "hello"},
        {"invitedUserMessageInfo": {"body": "hello"}},
        {"invitedUserMessageInfo": {"messageLanguage": "german!"}},
        {"invitedUserMessageInfo": {"ccRecipients": [{"emailAddress": {"address": f"{n}@a.example"}} for n in "ab"]}},
        {"invitedUserMessageInfo": {"ccRecipients": [{"address": "a@a.example"}]}},
        {"invitedUserSponsors": [{"id": "nobody"}]},
        {"invitedUserSponsors@odata.bind": "x"},
    ],
)
def test_strict_about_properties(desk: Any, change: dict[str, Any]) -> None:
    """Missing, unknown, read-only and ill-typed properties are 400, and nobody is invited."""
    assert desk.invite("new@partner.example", **change)[0] == 400
    assert desk.tenant.find("new@partner.example") is None


def test_whole_form(desk: Any) -> None:
    """Everything that may be sent is taken; a custom message is dropped, as for every service
    principal.
    """
    ada = desk.tenant.find("ada@contoso.example").id
    status, _ = desk.invite(
        "new@partner.example",
        invitedUserType="Guest",
        sendInvitationMessage=True,
        invitedUserMessageInfo={
            "messageLanguage": "de-DE",
            "customizedMessageBody": "Hello",
            "ccRecipients": [{"emailAddress": {"name": "C", "address": "c@partner.example"}}],
        },
        **{"invitedUserSponsors@odata.bind": [f"https://graph.microsoft.com/v1.0/users/{ada}"]},
    )
    assert status == 201
    mail = desk.world.recorder.mails[-1]
    assert mail["message"] is None
    assert mail["message_dropped"]
    assert mail["cc"] == ["c@partner.example"]


def test_reset_redemption(desk: Any) -> None:
    """A reset keeps the object and makes it pending again."""
    linus = desk.tenant.find("linus@partner.example")
    status, body = desk.invite("linus@partner.example", resetRedemption=True, invitedUser={"id": linus.id})
    assert status == 201
    assert body["invitedUser"]["id"] == linus.id
    assert linus.state == "PendingAcceptance"


def test_roles_are_enforced_per_operation(desk: Any) -> None:
    """A missing User.Invite.All is the 401 that is no expired token; a missing read role is a
    403.
    """
    desk.roles = frozenset({"User.Read.All"})
    status, body = desk.invite("new@partner.example")
    assert (status, body["error"]["code"]) == (401, "Unauthorized")
    assert "ActionName=CreateInvite" in _message(body)
    desk.roles = frozenset({"User.Invite.All"})
    for target in ("/users", "/users/x", "/organization", "/policies/authorizationPolicy"):
        status, body = desk.read(target)
        assert (status, body["error"]["code"]) == (403, "Authorization_RequestDenied"), target
    assert desk.ask("PATCH", "/users/x", {"givenName": "A"}).status == 403


def test_tenant_states(desk: Any) -> None:
    """Invitations off, abuse block after N, a full directory: 403 with the known texts."""
    desk.tenant.allow_invites_from = "none"
    status, body = desk.invite("a@partner.example")
    assert (status, _message(body)[:45]) == (403, "Guest invitations not allowed for your compan")
    desk.tenant.allow_invites_from = "everyone"
    desk.tenant.abuse_after = 2
    assert [desk.invite(f"a{n}@partner.example")[0] for n in range(4)] == [201, 201, 403, 403]
    assert "suspicious activity" in _message(desk.invite("z@partner.example")[1])
    desk.tenant.blocked_for_abuse = False
    desk.tenant.max_users = 1
    assert desk.invite("b@partner.example")[1]["error"]["code"] == "Directory_QuotaExceeded"


def test_member_invitations_need_more(desk: Any) -> None:
    """Only a privileged caller may invite a Member."""
    desk.roles = frozenset({"User.Invite.All"})
    assert desk.invite("m@partner.example", invitedUserType="Member")[0] == 403
    desk.roles = frozenset({"User.ReadWrite.All"})
    assert desk.invite("m@partner.example", invitedUserType="Member")[1]["invitedUserType"] == "Member"


def test_content_type_of_a_plain_call(desk: Any) -> None:
    """No Content-Type is 400, another one 415, broken JSON 400."""
    assert desk.ask("POST", "/invitations", {}, {}).status == 400
    assert desk.ask("POST", "/invitations", {}, {"Content-Type": "text/plain"}).status == 415
    assert desk.ask("POST", "/invitations", None, {"Content-Type": "application/json"}).status == 400
    assert desk.ask("POST", "/invitations", [1]).status == 400


def test_methods_and_paths(desk: Any) -> None:
    """What Graph has and what it has not."""
    assert desk.read("/invitations")[0] == 405
    assert desk.read("/devices")[0] == 400
    assert desk.ask("DELETE", "/devices/x").status == 400
    assert desk.ask("DELETE", "/users/x").status == 404


def test_reading_people(desk: Any) -> None:
    """The look-ups usher makes: by address, by id, deleted ones, paging."""
    query = (
        "/users?$filter=mail%20in%20('linus@partner.example','ada@contoso.example')&$select=id,mail,externalUserState"
    )
    status, body = desk.read(query)
    assert status == 200
    assert {user["mail"]: user["externalUserState"] for user in body["value"]} == {
        "linus@partner.example": "Accepted",
        "ada@contoso.example": None,
    }
    one = desk.read(f"/users/{body['value'][0]['id']}?$select=mail,createdDateTime")[1]
    assert one["createdDateTime"].endswith("Z")
    assert desk.read("/users/linus_partner.example%23EXT%23@contoso.onmicrosoft.example?$select=mail")[0] == 200
    assert desk.read("/users/nobody")[1]["error"]["code"] == "Request_ResourceNotFound"
    deleted = desk.read("/directory/deletedItems/microsoft.graph.user?$select=mail")[1]["value"]
    assert deleted == [{"mail": "deleted@partner.example"}]
    assert desk.read("/users?$filter=mail ne 'x'")[0] == 400
    assert "mail" in desk.read("/users")[1]["value"][0]
    assert "userType" not in desk.read("/users")[1]["value"][0]


def test_paging(desk: Any) -> None:
    """A next link leads through everybody, each once."""
    seen, target = [], "/users?$select=id&$top=2"
    while target:
        body = desk.read(target)[1]
        seen += [user["id"] for user in body["value"]]
        target = body.get("@odata.nextLink", "").removeprefix("https://127.0.0.1:1/v1.0")
    assert len(seen) == len(set(seen)) == len(desk.tenant.users)


def test_count_needs_its_header(desk: Any) -> None:
    """An advanced query works with the header alone."""
    query = "/users?$filter=otherMails/any(m:m eq 'linus@partner.example')&$count=true&$select=mail"
    assert desk.read(query)[0] == 400
    status, body = desk.read(query, {"ConsistencyLevel": "eventual"})
    assert (status, body["@odata.count"]) == (200, 1)


def test_units(desk: Any) -> None:
    """GET users costs 2, with $select 1."""
    assert desk.ask("GET", "/users").headers["x-ms-resource-unit"] == "2"
    assert desk.ask("GET", "/users?$select=id").headers["x-ms-resource-unit"] == "1"


def test_organization_and_policy(desk: Any) -> None:
    """The default domain and who may invite can be read."""
    domains = desk.read("/organization?$select=verifiedDomains")[1]["value"][0]["verifiedDomains"]
    assert [d["name"] for d in domains if d["isDefault"]] == ["contoso.example"]
    assert [d["name"] for d in domains if d["isInitial"]] == ["contoso.onmicrosoft.example"]
    assert desk.read("/policies/authorizationPolicy")[1]["allowInvitesFrom"] == "everyone"
    assert desk.read("/organization?$select=nothing")[0] == 400


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("User.ReadUpdate.All", {"givenName"}),
        ("User.EnableDisableAccount.All", {"accountEnabled"}),
        ("User-Mail.ReadWrite.All", {"otherMails"}),
        ("User.ReadWrite.All", {"givenName", "accountEnabled", "otherMails"}),
        ("User.Read.All", set()),
    ],
)
def test_a_narrow_permission_changes_its_own_properties(desk: Any, role: str, may: set[str]) -> None:
    """As Microsoft documents them since July 2026; the older one still covers them all."""
    desk.roles = frozenset({role})
    linus = desk.tenant.find("linus@partner.example").id
    for change in ({"givenName": "L"}, {"accountEnabled": True}, {"otherMails": ["l@new.example"]}):
        status = desk.ask("PATCH", f"/users/{linus}", change).status
        assert status == (204 if change.keys() <= may else 403), change


def test_updating_a_user(desk: Any) -> None:
    """PATCH takes names, refuses what is read-only or unknown, and needs its role."""
    desk.roles = frozenset({"User.ReadWrite.All"})
    linus = desk.tenant.find("linus@partner.example").id
    assert desk.ask("PATCH", f"/users/{linus}", {"givenName": "L", "otherMails": ["l@new.example"]}).status == 204
    assert desk.read(f"/users/{linus}?$select=givenName")[1]["givenName"] == "L"
    assert desk.tenant.find("l@new.example").id == linus
    for change in ({"id": "x"}, {"shoeSize": "9"}, {"accountEnabled": "no"}, {}, {"displayName": ""}):
        assert desk.ask("PATCH", f"/users/{linus}", change).status == 400, change


def test_replication_lag(make_desk: Any) -> None:
    """A new guest is invisible to reads until its lag is over, but not to the invitation
    service.
    """
    desk = make_desk(replication=SecondsRange(50, 60), quota=QuotaOptions(enabled=False))
    user_id = desk.invite("new@partner.example")[1]["invitedUser"]["id"]
    query = "/users?$filter=mail in ('new@partner.example')&$select=id"
    assert desk.read(query)[1]["value"] == []
    assert desk.read(f"/users/{user_id}")[0] == 404
    assert desk.invite("new@partner.example")[1]["invitedUser"]["id"] == user_id
    desk.tenant.users[user_id].visible_s = 0
    assert desk.read(query)[1]["value"] == [{"id": user_id}]


def test_two_sandboxes_of_one_seed_agree(make_desk: Any, make_item: Item) -> None:
    """Ids, order and tickets follow from the seed."""
    bodies = [make_desk(seed=7).batch(*(make_item(n) for n in range(5)))[1] for _ in range(2)]
    assert orjson.dumps(bodies[0]) == orjson.dumps(bodies[1])
