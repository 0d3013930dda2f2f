"""What a list calls groups, teams and sponsors stands for one of them, or for a sentence."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, found
from worker.directory.targets import resolve
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.ledger.job_targets import Target, TargetKind

ID = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER = "aaaaaaaa-0000-4000-8000-000000000002"
FORBIDDEN = answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
GONE = answered(404, "Request_ResourceNotFound", "Resource does not exist.")


def group(title: str = "Partners", **more: Any) -> dict[str, Any]:
    """Return an assigned security group as Graph shows it."""
    plain: dict[str, Any] = {"id": ID, "displayName": title, "mail": None, "groupTypes": [], "mailEnabled": False}
    plain |= {"securityEnabled": True, "onPremisesSyncEnabled": None, "isAssignableToRole": None}
    return plain | {"resourceProvisioningOptions": []} | more


async def resolve_one(
    name: str, *values: dict[str, Any], kind: TargetKind = TargetKind.GROUP
) -> tuple[Target | None, list[str]]:
    """Return what a name stands for where Graph answers with these, and what was asked for."""
    ask = Asking(lambda request: found(*values))
    resolved = await resolve(ask, kind, [name])
    return resolved.targets.get(name), [unquote(path) for path in ask.asked]


async def test_a_name_is_an_id_an_address_or_a_display_name() -> None:
    """Each asked for in its own way; an apostrophe is doubled."""
    target, (asked,) = await resolve_one("O'Hara & Co", group("O'Hara & Co"))
    assert target == Target(ID, "O'Hara & Co", TargetKind.GROUP, "", "O'Hara & Co")
    assert asked.startswith("/groups?$filter=displayName eq 'O''Hara & Co'&$select=id,displayName,")
    _, (asked,) = await resolve_one("team@contoso.example", group())
    assert asked.startswith("/groups?$filter=mail eq 'team@contoso.example'&")
    ask = Asking(lambda request: GraphAnswer(Fate.ANSWERED, 200, {}, group()))
    by_id = (await resolve(ask, TargetKind.GROUP, [ID.upper()])).targets[ID.upper()]
    assert (by_id.id, by_id.title) == (ID, "Partners")
    assert ask.asked[0].startswith(f"/groups/{ID}?$select=")


@pytest.mark.parametrize("name", ["Partners, Suppliers", "Partners;Suppliers"])
async def test_a_name_that_may_be_several_says_how_several_are_named(name: str) -> None:
    """In a cell and on the command; another unknown name says nothing of it."""
    nothing, _ = await resolve_one(name)
    assert nothing
    assert "a semicolon stands between them in a cell, and --group is given once for each" in nothing.refused
    plain, _ = await resolve_one("Partners")
    assert plain
    assert "semicolon" not in plain.refused


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"groupTypes": ["DynamicMembership"]}, "A rule decides"),
        ({"groupTypes": ["Unified", "DynamicMembership"], "mailEnabled": True}, "A rule decides"),
        ({"onPremisesSyncEnabled": True}, "on-premises"),
        ({"mailEnabled": True}, "in Exchange"),
        ({"mailEnabled": True, "securityEnabled": False}, "in Exchange"),
        ({"isAssignableToRole": True}, "directory roles"),
        ({}, ""),
        ({"groupTypes": ["Unified"], "mailEnabled": True, "securityEnabled": False}, ""),
        ({"onPremisesSyncEnabled": False, "isAssignableToRole": False}, ""),
    ],
)
async def test_groups_that_nobody_is_put_into(more: dict[str, Any], says: str) -> None:
    """Refused beforehand, with what the group is and what to do instead."""
    target, _ = await resolve_one("Partners", group(**more))
    assert target is not None
    assert bool(target.refused) is bool(says)
    assert says in target.refused
    assert not says or "“Partners”" in target.refused


async def test_a_name_of_nothing_or_of_two() -> None:
    """Neither stands for anything."""
    nothing, _ = await resolve_one("Partners")
    two, _ = await resolve_one("Partners", group(), group(id=OTHER))
    assert nothing is not None
    assert two is not None
    assert (nothing.id, two.id) == ("", "")
    assert "There is no group “Partners”" in nothing.refused
    assert "More than one group" in two.refused
    resolved = await resolve(Asking(lambda request: GONE), TargetKind.GROUP, [ID])
    assert "There is no group" in resolved.targets[ID].refused


async def test_a_team_is_a_group_that_has_one() -> None:
    """As far as Graph says."""
    team, _ = await resolve_one("Alpha", group(resourceProvisioningOptions=["Team"]), kind=TargetKind.TEAM)
    none, _ = await resolve_one("Alpha", group(), kind=TargetKind.TEAM)
    unsaid, _ = await resolve_one("Alpha", group(resourceProvisioningOptions=None), kind=TargetKind.TEAM)
    assert team is not None
    assert none is not None
    assert unsaid is not None
    assert (team.refused, unsaid.refused) == ("", "")
    assert "has no team" in none.refused


async def test_a_sponsor_is_a_person_or_a_group() -> None:
    """Looked for among both; one of each is two."""
    ada = {"id": OTHER, "displayName": "Ada", "mail": "ada@contoso.example", "userPrincipalName": "ada@contoso.example"}

    def answer(request: GraphRequest) -> GraphAnswer:
        if request.path.startswith("/users"):
            return found(*([ada] if "ada" in request.path or "both" in request.path else []))
        return found(*([group()] if "Partners" in request.path or "both" in request.path else []))

    ask = Asking(answer)
    resolved = await resolve(ask, TargetKind.SPONSOR, ["ada@contoso.example", "Partners", "both"])
    sponsors = resolved.targets
    assert (sponsors["ada@contoso.example"].collection, sponsors["ada@contoso.example"].id) == ("users", OTHER)
    assert (sponsors["Partners"].collection, sponsors["Partners"].id) == ("groups", ID)
    assert "More than one sponsor" in sponsors["both"].refused
    assert "userPrincipalName eq 'ada@contoso.example'" in unquote(ask.asked[0])


async def test_names_are_asked_for_twenty_at_a_time_each_once() -> None:
    """A name that many rows bear costs one request."""
    ask = Asking(lambda request: found(group()))
    names = [f"Group {n % 45}" for n in range(100)]
    resolved = await resolve(ask, TargetKind.GROUP, names)
    assert (len(ask.asked), ask.calls, len(resolved.targets)) == (45, 3, 45)


async def test_a_permission_that_is_missing_is_told() -> None:
    """It says nothing of the names; a person who was found is no group that may not be read."""
    resolved = await resolve(Asking(lambda request: FORBIDDEN), TargetKind.GROUP, ["Partners"])
    assert (resolved.targets, resolved.may_not) == ({}, "GroupMember.Read.All")

    def answer(request: GraphRequest) -> GraphAnswer:
        return found({"id": OTHER, "displayName": "Ada"}) if request.path.startswith("/users") else FORBIDDEN

    resolved = await resolve(Asking(answer), TargetKind.SPONSOR, ["ada@contoso.example"])
    assert (resolved.targets["ada@contoso.example"].id, resolved.may_not) == (OTHER, "")
