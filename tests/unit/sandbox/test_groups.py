"""Groups of the sandbox: found, read, joined and left, and refused in Graph's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from sandbox.control.api import Control
from sandbox.groups import KINDS
from sandbox.options import QuotaOptions, SecondsRange

BASE = "https://127.0.0.1:1/v1.0"
ROLES = frozenset({"GroupMember.ReadWrite.All", "User.Read.All"})


def _group(desk: Any, name: str) -> Any:
    return next(group for group in desk.tenant.groups.values() if group.display_name == name)


def _guests(desk: Any, count: int) -> list[str]:
    """Invite some guests and return their ids."""
    desk.roles = frozenset({"User.Invite.All"})
    ids = [desk.invite(f"g{number}@partner.example")[1]["invitedUser"]["id"] for number in range(count)]
    desk.roles = ROLES
    return ids


def _bind(*ids: str) -> dict[str, list[str]]:
    return {"members@odata.bind": [f"{BASE}/directoryObjects/{name}" for name in ids]}


def _refusal(reply: Any) -> tuple[int, str, str]:
    error = orjson.loads(reply.body)["error"]
    return reply.status, error["code"], error["message"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("displayName eq 'partners'", ["Partners"]),
        ("displayName eq 'Namesake'", ["Namesake", "Namesake"]),
        ("displayName eq 'nobody'", []),
        ("mail eq 'project-alpha@contoso.example'", ["Project Alpha"]),
        ("mailNickname eq 'suppliers'", ["Suppliers"]),
        (
            "displayName in ('Partners','Board') or mail eq 'newsletter@contoso.example'",
            ["Partners", "Newsletter", "Board"],
        ),
    ],
)
def test_groups_are_found_by_name(desk: Any, text: str, names: list[str]) -> None:
    """A name may be that of none or of several groups, as in Graph; case does not count."""
    desk.roles = ROLES
    status, body = desk.read(f"/groups?$filter={quote(text)}&$select=id,displayName")
    assert status == 200
    assert [group["displayName"] for group in body["value"]] == names
    assert all(group.keys() == {"id", "displayName"} for group in body["value"])


@pytest.mark.parametrize(
    "query",
    [
        "$filter=startswith(displayName,'P')",
        "$filter=displayName ne 'P'",
        "$filter=displayName eq 'P' and mail eq 'x'",
        "$filter=description eq 'P'",
        "$select=id,classification",
        "$search=x",
        "$top=0",
        "$filter=id in (" + ",".join(f"'{n}'" for n in range(16)) + ")",
    ],
)
def test_other_shapes_are_refused(desk: Any, query: str) -> None:
    """What usher never asks is a 400, not an answer to something else."""
    desk.roles = ROLES
    assert desk.read(f"/groups?{query.replace(' ', '%20')}")[0] == 400


def test_a_group_shows_what_a_preflight_reads(desk: Any) -> None:
    """Each kind is told apart by the properties that Graph has for it."""
    desk.roles = ROLES
    select = "groupTypes,mailEnabled,securityEnabled,onPremisesSyncEnabled,isAssignableToRole"
    seen = {}
    for group in desk.tenant.groups.values():
        status, body = desk.read(f"/groups/{group.id}?$select={select}")
        assert status == 200
        seen[group.kind] = tuple(body[name] for name in select.split(","))
    assert seen.keys() == KINDS.keys()
    assert seen["security"] == ([], False, True, None, None)
    assert seen["m365"] == (["Unified"], True, False, None, None)
    assert seen["dynamic"][0] == ["DynamicMembership"]
    assert seen["synced"][3] is True
    assert seen["role-assignable"][4] is True
    assert len(set(map(str, seen.values()))) == len(KINDS)
    assert desk.read("/groups/00000000-0000-4000-8000-000000000000")[0] == 404


def test_twenty_members_join_at_once(desk: Any) -> None:
    """Twenty references are one request and one write, and are read back in pages."""
    ids, group = _guests(desk, 21), _group(desk, "Partners")
    assert desk.ask("PATCH", f"/groups/{group.id}", _bind(*ids[:20])).status == 204
    assert list(group.members) == ids[:20]
    assert desk.ask("PATCH", f"/groups/{group.id}", _bind(*ids)).status == 400
    status, first = desk.read(f"/groups/{group.id}/members?$select=id&$top=15")
    assert status == 200
    status, second = desk.read(first["@odata.nextLink"].removeprefix(BASE))
    assert [user["id"] for user in first["value"] + second["value"]] == ids[:20]
    assert "@odata.nextLink" not in second


@pytest.mark.parametrize("bad", ["member", "twice", "unknown"])
def test_one_bad_reference_fails_the_whole_call(desk: Any, bad: str) -> None:
    """A member, the same guest twice or an unknown one: nobody joins."""
    ids, group = _guests(desk, 3), _group(desk, "Partners")
    desk.ask("PATCH", f"/groups/{group.id}", _bind(ids[0]))
    third = {"member": ids[0], "twice": ids[1], "unknown": "00000000-0000-4000-8000-000000000000"}[bad]
    status, code, message = _refusal(desk.ask("PATCH", f"/groups/{group.id}", _bind(ids[1], third)))
    assert (status, code) == (400, "Request_BadRequest")
    assert message.startswith(
        "The source resource object or one of the objects"
        if bad == "unknown"
        else "One or more added object references already exist for the following modified properties: 'members'"
    )
    assert list(group.members) == [ids[0]]


def test_members_join_and_leave_one_by_one(desk: Any) -> None:
    """With `/$ref`: 204, 400 for who is in already, 404 for whom nobody knows."""
    (guest,), group = _guests(desk, 1), _group(desk, "Partners")
    path = f"/groups/{group.id}/members"
    reference = {"@odata.id": f"{BASE}/directoryObjects/{guest}"}
    assert desk.ask("POST", f"{path}/$ref", reference).status == 204
    assert _refusal(desk.ask("POST", f"{path}/$ref", reference))[:2] == (400, "Request_BadRequest")
    other = {"@odata.id": f"{BASE}/directoryObjects/00000000-0000-4000-8000-000000000000"}
    assert _refusal(desk.ask("POST", f"{path}/$ref", other))[:2] == (404, "Request_ResourceNotFound")
    assert desk.ask("DELETE", f"{path}/{guest}/$ref").status == 204
    assert desk.ask("DELETE", f"{path}/{guest}/$ref").status == 404
    assert not group.members
    assert guest in desk.tenant.users


def test_without_ref_the_account_is_deleted(desk: Any) -> None:
    """The slip that costs an account costs one here too."""
    (guest,), group = _guests(desk, 1), _group(desk, "Partners")
    desk.ask("PATCH", f"/groups/{group.id}", _bind(guest))
    assert desk.ask("DELETE", f"/groups/{group.id}/members/{guest}").status == 403
    desk.roles = frozenset({"User.ReadWrite.All"})
    assert desk.ask("DELETE", f"/groups/{group.id}/members/{guest}").status == 204
    assert guest in desk.tenant.deleted


@pytest.mark.parametrize(
    ("name", "status", "code", "text"),
    [
        ("All Guests (dynamic)", 400, "Request_BadRequest", "dynamic membership"),
        ("Staff (synced)", 400, "Request_BadRequest", "on-premises mastered"),
        ("Sales (mail-enabled)", 400, "Request_BadRequest", "Cannot Update a mail-enabled security groups"),
        ("Press (distribution)", 400, "Request_BadRequest", "Cannot Update a mail-enabled security groups"),
        ("Helpdesk (roles)", 403, "Authorization_RequestDenied", "Insufficient privileges"),
        ("Board", 403, "Authorization_RequestDenied", "Guests users are not allowed to join this Unified Group"),
        ("Full House", 403, "Directory_QuotaExceeded", "forward-link"),
    ],
)
def test_groups_refuse(desk: Any, name: str, status: int, code: str, text: str) -> None:
    """Each kind that takes nobody refuses both ways of joining, and stays as it was."""
    (guest,), group = _guests(desk, 1), _group(desk, name)
    reference = {"@odata.id": f"{BASE}/directoryObjects/{guest}"}
    for reply in (
        desk.ask("PATCH", f"/groups/{group.id}", _bind(guest)),
        desk.ask("POST", f"/groups/{group.id}/members/$ref", reference),
    ):
        told = _refusal(reply)
        assert told[:2] == (status, code)
        assert text in told[2]
    assert not group.members


def test_a_role_assignable_group_wants_a_second_permission(desk: Any) -> None:
    """With it guests join, and then their account can no longer be changed; names can."""
    (guest,), group = _guests(desk, 1), _group(desk, "Helpdesk (roles)")
    desk.roles = ROLES | {"RoleManagement.ReadWrite.Directory", "User.ReadWrite.All"}
    assert desk.ask("PATCH", f"/groups/{group.id}", _bind(guest)).status == 204
    assert desk.ask("PATCH", f"/users/{guest}", {"accountEnabled": False}).status == 403
    assert desk.ask("PATCH", f"/users/{guest}", {"companyName": "Partner"}).status == 204


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.microsoft.com/v1.0/directoryObjects/{}",
        "https://127.0.0.1:1/beta/directoryObjects/{}",
        "https://127.0.0.1:1/v1.0/groups/{}",
        "{}",
        "",
    ],
)
def test_references_are_urls_of_the_same_cloud(desk: Any, url: str) -> None:
    """Another cloud's host, another version or a bare id is refused."""
    (guest,), group = _guests(desk, 1), _group(desk, "Partners")
    body = {"members@odata.bind": [url.format(guest)]}
    assert _refusal(desk.ask("PATCH", f"/groups/{group.id}", body))[0] == 400
    assert _refusal(desk.ask("POST", f"/groups/{group.id}/members/$ref", {"@odata.id": url.format(guest)}))[0] == 400
    assert not group.members


def test_whose_groups(desk: Any) -> None:
    """Of up to 20 groups, which the guest is in; dynamic ones count."""
    (guest,) = _guests(desk, 1)
    group, other, all_guests = (_group(desk, name) for name in ("Partners", "Suppliers", "All Guests (dynamic)"))
    desk.ask("PATCH", f"/groups/{group.id}", _bind(guest))
    asked = {"groupIds": [group.id, other.id, all_guests.id]}
    reply = desk.ask("POST", f"/users/{guest}/checkMemberGroups", asked)
    assert orjson.loads(reply.body)["value"] == [group.id, all_guests.id]
    assert desk.ask("POST", f"/users/{guest}/checkMemberGroups", {"groupIds": [group.id] * 21}).status == 400
    desk.roles = frozenset({"GroupMember.Read.All"})
    assert desk.ask("POST", f"/users/{guest}/checkMemberGroups", asked).status == 403


def test_permissions(desk: Any) -> None:
    """Reading members does not let an application add any."""
    (guest,), group = _guests(desk, 1), _group(desk, "Partners")
    desk.roles = frozenset({"GroupMember.Read.All"})
    assert desk.read(f"/groups/{group.id}/members?$select=id")[0] == 200
    assert desk.ask("PATCH", f"/groups/{group.id}", _bind(guest)).status == 403
    desk.roles = frozenset({"User.Read.All"})
    assert desk.read(f"/groups/{group.id}")[0] == 403


def test_each_part_learns_of_a_guest_after_a_lag_of_its_own(make_desk: Any) -> None:
    """Reads may know a guest whom the writing side and the groups do not know yet."""
    desk = make_desk(
        quota=QuotaOptions(enabled=False),
        lags={"updates": SecondsRange(50, 60), "groups": SecondsRange(50, 60)},
    )
    (guest,) = _guests(desk, 1)
    desk.roles = ROLES | {"User.ReadWrite.All"}
    assert desk.read(f"/users/{guest}")[0] == 200
    told = _refusal(desk.ask("PATCH", f"/users/{guest}", {"companyName": "Partner"}))
    assert told[:2] == (404, "Request_ResourceNotFound")
    group = _group(desk, "Partners")
    assert _refusal(desk.ask("PATCH", f"/groups/{group.id}", _bind(guest)))[2].startswith("The source resource object")
    user = desk.tenant.users[guest]
    user.known["updates"] = user.known["groups"] = 0.0
    assert desk.ask("PATCH", f"/users/{guest}", {"companyName": "Partner"}).status == 204
    assert desk.ask("PATCH", f"/groups/{group.id}", _bind(guest)).status == 204


def test_prices(make_desk: Any) -> None:
    """Each request costs the resource units and writes that Graph documents."""
    desk = make_desk()
    (guest,), group = _guests(desk, 1), _group(desk, "Partners")

    def levels() -> dict[str, float]:
        return {bucket["limit"]: bucket["level"] for bucket in desk.world.quotas.show()}

    desk.world.clock.time_scale = 1e-9
    for method, target, body, units, writes in [
        ("GET", "/groups?$filter=displayName%20eq%20'x'&$select=id", None, 1, 0),
        ("GET", f"/groups/{group.id}", None, 1, 0),
        ("PATCH", f"/groups/{group.id}", _bind(guest), 1, 1),
        ("GET", f"/groups/{group.id}/members?$select=id", None, 2, 0),
        ("POST", f"/users/{guest}/checkMemberGroups", {"groupIds": [group.id]}, 4, 0),
        ("DELETE", f"/groups/{group.id}/members/{guest}/$ref", None, 1, 1),
    ]:
        before = levels()
        reply = desk.ask(method, target, body)
        assert reply.status < 300, reply.body
        assert reply.headers["x-ms-resource-unit"] == str(units)
        after = levels()
        assert before["units_per_app_and_tenant"] - after["units_per_app_and_tenant"] == pytest.approx(units, abs=0.1)
        assert before["writes_per_tenant"] - after["writes_per_tenant"] == pytest.approx(writes, abs=0.1)


def test_forty_groups_at_once_by_the_control_api(desk: Any) -> None:
    """A test makes its groups in one request and reads their members by address."""
    control = Control(desk.world)

    def ask(method: str, name: str, query: str = "", body: Any = None) -> Any:
        status, answer = control.answer(method, name, query, "application/json", orjson.dumps(body or {}))
        assert status == 200, answer
        return answer

    made = ask(
        "POST",
        "groups",
        body={
            "action": "add",
            "groups": [{"name": f"Team {n}", "kind": "m365", "team": True} for n in range(39)]
            + [{"name": "Known", "members": ["linus@partner.example"]}],
        },
    )["groups"]
    assert len({group["id"] for group in made}) == 40
    assert ask("GET", "groups", "name=known")[0]["members"] == ["linus@partner.example"]
    ask("POST", "groups", body={"action": "change", "name": "Known", "guests": False, "most": 3, "members": []})
    assert ask("GET", "groups", "name=Known")[0] == {**made[-1], "guests": False, "most": 3, "members": []}
    ask("POST", "groups", body={"action": "remove", "name": "Known"})
    assert ask("GET", "groups", "name=Known") == []
    for bad in (
        {"action": "add", "name": "x", "kind": "odd"},
        {"action": "change", "name": "Namesake"},
        {"action": "x"},
    ):
        assert control.answer("POST", "groups", "", "application/json", orjson.dumps(bad))[0] == 400


def test_groups_outlive_their_process(make_desk: Any, tmp_path: Path) -> None:
    """With a state folder, groups made and members added are there after a restart."""
    desk = make_desk(state_dir=tmp_path, quota=QuotaOptions(enabled=False))
    (guest, other), group = _guests(desk, 2), _group(desk, "Partners")
    made = {"action": "add", "name": "Made", "kind": "m365", "members": ["linus@partner.example"]}
    assert Control(desk.world).answer("POST", "groups", "", "application/json", orjson.dumps(made))[0] == 200
    desk.ask("PATCH", f"/groups/{group.id}", _bind(guest, other))
    desk.ask("DELETE", f"/groups/{group.id}/members/{other}/$ref")
    desk.world.recorder.flush()
    again = make_desk(state_dir=tmp_path, quota=QuotaOptions(enabled=False))
    assert list(_group(again, "Partners").members) == [guest]
    assert list(_group(again, "Made").members) == [again.tenant.find("linus@partner.example").id]
