"""A tenant's guests are listed as Graph lists them: by type and state, counted, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.control.users import change_user

EVENTUAL = {"ConsistencyLevel": "eventual"}
GUESTS = "/users?$filter=userType eq 'Guest'"
READS = frozenset({"User.Read.All"})


def mails(body: dict[str, Any]) -> set[str]:
    """Whom an answer shows."""
    return {user["mail"].partition("@")[0] for user in body["value"]}


def test_guests_are_listed_by_type_and_state(desk: Any) -> None:
    """Members are left out; a state wants an advanced query."""
    status, body = desk.read(f"{GUESTS}&$select=mail")
    assert (status, mails(body)) == (200, {"linus", "margaret", "disabled", "pending"})
    pending = f"{GUESTS} and externalUserState eq 'PendingAcceptance'&$select=mail&$count=true"
    assert desk.read(pending)[0] == 400
    status, body = desk.read(pending, EVENTUAL)
    assert (status, mails(body), body["@odata.count"]) == (200, {"pending"}, 1)


def test_a_page_leads_to_the_next_by_a_token_of_graphs_own(desk: Any) -> None:
    """The count wants its header on each page; a made-up token is refused."""
    _, body = desk.read(f"{GUESTS}&$select=mail&$top=3&$count=true", EVENTUAL)
    following = body["@odata.nextLink"].removeprefix("https://127.0.0.1:1/v1.0")
    assert not following.endswith("=3")
    assert desk.read(following)[0] == 400
    _, rest = desk.read(following, EVENTUAL)
    assert (len(mails(body) | mails(rest)), rest.get("@odata.nextLink")) == (4, None)
    assert desk.read(f"{GUESTS}&$select=mail&$skiptoken=3")[0] == 400


def test_role_holders_come_in_pages_too(desk: Any) -> None:
    """Each page leads to the next by its token."""
    for email in ("linus@partner.example", "margaret@partner.example", "pending@partner.example"):
        change_user(desk.world, desk.tenant, {"action": "role", "email": email, "role": "assigned"})
    desk.roles = frozenset({"RoleManagement.Read.Directory"})
    target, found = "/roleManagement/directory/roleAssignments?$expand=principal&$top=2", []
    while target:
        status, body = desk.read(target)
        assert status == 200, body
        found += [value["principalId"] for value in body["value"]]
        target = body.get("@odata.nextLink", "").removeprefix("https://127.0.0.1:1/v1.0")
    assert len(set(found)) == len(found) == 3


def test_sponsors_come_with_a_listing_that_expands_them(desk: Any) -> None:
    """Each with id and name; it costs a unit more, and nothing else is expanded."""
    body = {"action": "add", "email": "new@partner.example", "sponsors": ["ada@contoso.example"]}
    change_user(desk.world, desk.tenant, body)
    reply = desk.ask("GET", f"{GUESTS}&$select=mail&$expand=sponsors($select=id,displayName)")
    assert reply.headers["x-ms-resource-unit"] == "2"
    _, found = desk.read(f"{GUESTS}&$select=mail&$expand=sponsors($select=id,displayName)")
    names = {user["mail"]: [sponsor["displayName"] for sponsor in user["sponsors"]] for user in found["value"]}
    assert (names["new@partner.example"], names["linus@partner.example"]) == (["Ada Lovelace"], [])
    assert desk.read(f"{GUESTS}&$expand=manager")[0] == 400


@pytest.mark.parametrize("target", [f"{GUESTS}&$select=id,signInActivity", "/users/{id}?$select=signInActivity"])
def test_dates_of_signing_in_want_a_permission_of_their_own(desk: Any, target: str) -> None:
    """Pages of them are smaller."""
    dates = {"lastSignInDateTime": "2026-01-02T03:04:05Z"}
    many = [{"email": f"n{n}@partner.example", "sign_ins": dates} for n in range(2)]
    assert change_user(desk.world, desk.tenant, {"action": "add", "users": many}) == {"users": 2}
    target = target.replace("{id}", desk.tenant.find("n1@partner.example").id)
    desk.roles = READS
    assert desk.read(target)[0] == 403
    desk.roles = READS | {"AuditLog.Read.All"}
    status, body = desk.read(target)
    assert status == 200
    assert dates in [user.get("signInActivity") for user in body.get("value", [body])]
    assert desk.read(f"{GUESTS}&$select=id,signInActivity&$top=501")[0] == 400
