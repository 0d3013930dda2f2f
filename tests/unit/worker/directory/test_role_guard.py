"""The role guard has everybody who holds a directory role or may take one, or nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, found
from worker.directory.role_guard import RoleGuards, read_role_guard, read_spared
from worker.graph.batch import Fate, GraphAnswer, GraphRequest

USER, GROUP = "#microsoft.graph.user", "#microsoft.graph.group"
NO_P2 = answered(400, "AadPremiumLicenseRequired", "The tenant needs a licence.")


def role(principal: str, kind: str = USER) -> dict[str, Any]:
    """Return an assignment, or an eligibility, as Graph shows it."""
    return {"id": "x", "principalId": principal, "principal": {"@odata.type": kind, "id": principal}}


def tenant(lists: dict[str, GraphAnswer]) -> Callable[[GraphRequest], GraphAnswer]:
    """Return a tenant that answers by what a path has in it, else that nobody is there."""

    def answer(request: GraphRequest) -> GraphAnswer:
        return next((there for part, there in lists.items() if part in request.path), found())

    return answer


async def test_everybody_who_holds_or_may_take_a_role_is_in_it() -> None:
    """By assignment, by eligibility, by a group that has a role, and as a member or owner of a
    group that can be given one; whoever is in a group of such a group too.
    """
    ask = Asking(
        tenant(
            {
                "/roleAssignments": found(role("HOLDER"), role("g1", GROUP)),
                "/roleEligibility": found(role("eligible"), role("g2", GROUP)),
                "/groups?$filter=isAssignableToRole": found({"id": "g3"}),
                "/groups/g1/members": found({"@odata.type": USER, "id": "by-role-of-group"}),
                "/groups/g2/members": found({"@odata.type": GROUP, "id": "g4"}),
                "/groups/g3/members": found({"@odata.type": USER, "id": "member"}),
                "/groups/g3/owners": found({"@odata.type": USER, "id": "owner"}),
                "/groups/g4/members": found({"@odata.type": USER, "id": "nested"}),
            }
        )
    )
    guard = await read_role_guard(ask)
    for name in ("holder", "eligible", "by-role-of-group", "member", "owner", "nested"):
        assert guard.has(name), name
    assert not guard.has("somebody")
    assert len(ask.asked) == len(set(ask.asked))


async def test_every_page_is_read() -> None:
    """The next one by its path alone: the token goes to no other host."""
    following = "https://graph.microsoft.com/v1.0/roleManagement/directory/roleAssignments?$skiptoken=2"
    answers = {"skiptoken": found(role("second")), "/roleAssignments": found(role("first"), **_next(following))}
    guard = await read_role_guard(Asking(tenant(answers)))
    assert guard.has("first")
    assert guard.has("second")


async def test_a_principal_of_no_known_kind_may_be_a_group() -> None:
    """Who is in it is read; where it is none, only itself is guarded."""
    answers = {
        "/roleAssignments": found({"principalId": "p1"}, {"principalId": "p2"}),
        "/groups/p1/members": found({"id": "inside"}),
        "/groups/p2/": answered(404, "Request_ResourceNotFound", "No such object."),
    }
    guard = await read_role_guard(Asking(tenant(answers)))
    assert [guard.has(name) for name in ("p1", "p2", "inside", "other")] == [True, True, True, False]


async def test_without_p2_nobody_is_eligible() -> None:
    """Graph says so with a code of its own, which of the other lists means nothing."""
    guard = await read_role_guard(Asking(tenant({"/roleEligibility": NO_P2, "/roleAssignments": found(role("a"))})))
    assert guard.has("a")
    assert (await read_role_guard(Asking(tenant({"/roleAssignments": NO_P2})))).unread


LISTS = [
    ("/roleAssignments", "RoleManagement.Read.Directory"),
    ("/roleEligibility", "RoleEligibilitySchedule.Read.Directory"),
    ("/groups?$filter", "GroupMember.Read.All"),
    ("/members", "GroupMember.Read.All"),
    ("/owners", "GroupMember.Read.All"),
]
UNUSABLE = {
    "forbidden": answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    "no code": answered(400),
    "another 404": GraphAnswer(Fate.ANSWERED, 404, {}, "not found"),
    "no answer": GraphAnswer(Fate.LOST),
    "no 200": GraphAnswer(Fate.ANSWERED, 202, {}, {"value": []}),
    "no list": GraphAnswer(Fate.ANSWERED, 200, {}, {}),
    "no id": found({"displayName": "somebody"}),
    "no object": found("text"),
    "a page elsewhere": found(**{"@odata.nextLink": "https://elsewhere.example/beta/users"}),
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize(("path", "permission"), LISTS)
async def test_one_list_unreadable_means_that_nobody_can_tell(path: str, permission: str, answer: GraphAnswer) -> None:
    """Whoever asks then gets no answer; a missing permission is named in the sentence."""
    lists = {"/groups?$filter": found({"id": "g"})} | {path: answer}
    guard = await read_role_guard(Asking(tenant(lists)))
    assert guard.unread
    assert guard.permission == (permission if answer.status == 403 else "")
    assert (permission in guard.unread) is (answer.status == 403)
    with pytest.raises(ValueError, match="cannot be read"):
        guard.has("somebody")


async def test_a_page_that_leads_in_a_circle_is_no_list() -> None:
    """It ends, and nobody can tell."""
    following = "https://graph.microsoft.com/v1.0/roleManagement/directory/roleAssignments?again"
    answers = {"/roleAssignments": found(role("a"), **_next(following))}
    assert (await read_role_guard(Asking(tenant(answers)))).unread


async def test_it_is_read_once_a_job() -> None:
    """Another job reads it anew, and so does whoever comes after one that could not be read."""
    guards, connection = RoleGuards(), build_connection()
    ask = Asking(tenant({"/roleAssignments": found(role("a"))}))
    first = await guards.find(ask, connection)
    calls = ask.calls
    assert await guards.find(ask, connection) is first
    assert ask.calls == calls
    other = Asking(tenant({}), job="other")
    assert not (await guards.find(other, connection)).has("a")
    broken = Asking(tenant({"/roleAssignments": UNUSABLE["forbidden"]}), job="broken")
    assert (await guards.find(broken, connection)).unread
    assert not (await guards.find(Asking(tenant({}), job="broken"), connection)).unread


def _next(path: str) -> dict[str, str]:
    return {"@odata.nextLink": path}


async def test_who_is_in_a_spared_group_is_known_with_the_groups_within() -> None:
    """Members, not owners; a group that is in itself ends."""
    ask = Asking(
        tenant(
            {
                "/groups/g1/members": found({"@odata.type": USER, "id": "A"}, {"@odata.type": GROUP, "id": "G2"}),
                "/groups/g2/members": found({"@odata.type": USER, "id": "b"}, {"@odata.type": GROUP, "id": "g1"}),
                "/groups/g1/owners": found({"@odata.type": USER, "id": "owner"}),
            }
        )
    )
    assert (await read_spared(ask, ["G1"])).ids == {"a", "b", "g2", "g1"}
    assert len(ask.asked) == 2


async def test_a_spared_group_that_cannot_be_read_is_told() -> None:
    """With the permission."""
    spared = await read_spared(Asking(tenant({"/members": answered(403, "Authorization_RequestDenied", "No.")})), ["g"])
    assert "groups whose members are spared" in spared.unread
    assert spared.permission == "GroupMember.Read.All"
