"""Teams in the sandbox: 200 members a request, an answer for each, four requests a minute."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.options import QuotaOptions, SecondsRange

BASE = "https://127.0.0.1:1/v1.0"
ROLES = frozenset({"TeamMember.ReadWriteNonOwnerRole.All", "Team.ReadBasic.All"})
NOBODY = "00000000-0000-4000-8000-000000000000"


def _group(desk: Any, name: str = "Project Alpha") -> Any:
    return next(group for group in desk.tenant.groups.values() if group.display_name == name)


def _guests(desk: Any, count: int) -> list[str]:
    desk.roles = frozenset({"User.Invite.All"})
    ids = [desk.invite(f"g{number}@partner.example")[1]["invitedUser"]["id"] for number in range(count)]
    desk.roles = ROLES
    return ids


def _value(name: str, **changes: Any) -> dict[str, Any]:
    bind = f"{BASE}/users('{name}')"
    return {"@odata.type": "microsoft.graph.aadUserConversationMember", "roles": [], "user@odata.bind": bind, **changes}


def _add(desk: Any, team: str, *values: dict[str, Any]) -> tuple[int, Any]:
    reply = desk.ask("POST", f"/teams/{team}/members/add", {"values": list(values)})
    return reply.status, orjson.loads(reply.body)


def test_two_hundred_join_at_once(desk: Any) -> None:
    """All of them: 200, an entry each without an error, and they are in the group. One more is
    400.
    """
    ids, team = _guests(desk, 201), _group(desk)
    status, body = _add(desk, team.id, *(_value(name) for name in ids[:200]))
    assert status == 200
    assert {entry["userId"] for entry in body["value"]} == set(ids[:200])
    assert [entry["userId"] for entry in body["value"]] != ids[:200]  # in no order
    assert all(entry["error"] is None for entry in body["value"])
    assert list(team.members) == ids[:200]
    assert _add(desk, team.id, *(_value(name) for name in ids))[0] == 400


def test_some_do_not_join(desk: Any) -> None:
    """207 names who; the others are in, and who was in already stays so."""
    (guest, other), team = _guests(desk, 2), _group(desk)
    assert _add(desk, team.id, _value(other))[0] == 200
    status, body = _add(desk, team.id, _value(guest), _value(NOBODY), _value(other))
    assert status == 207
    errors = {entry["userId"]: entry["error"] for entry in body["value"]}
    assert errors[guest] is None
    assert errors[other] is None
    assert errors[NOBODY]["code"] == "NotFound"
    assert list(team.members) == [other, guest]


def test_a_team_that_takes_no_guests(desk: Any) -> None:
    """Each is refused by itself."""
    (guest,), team = _guests(desk, 1), _group(desk, "Board")
    team.team = True
    status, body = _add(desk, team.id, _value(guest))
    assert (status, body["value"][0]["error"]["code"]) == (207, "Forbidden")
    team.guests, team.most = True, 0
    assert _add(desk, team.id, _value(guest))[1]["value"][0]["error"]["code"] == "BadRequest"
    assert not team.members


def test_a_group_that_is_no_team(desk: Any) -> None:
    """404, to be read and to be joined."""
    (guest,), group = _guests(desk, 1), _group(desk, "Newsletter")
    assert _add(desk, group.id, _value(guest))[0] == 404
    assert desk.read(f"/teams/{group.id}")[0] == 404
    assert desk.read(f"/teams/{_group(desk).id}")[1]["displayName"] == "Project Alpha"
    assert desk.read(f"/teams/{_group(desk).id}?$select=id")[1].keys() == {"@odata.context", "id"}


@pytest.mark.parametrize(
    "changes",
    [
        {"roles": ["guest"]},
        {"@odata.type": "microsoft.graph.user"},
        {"user@odata.bind": f"{BASE}/directoryObjects/{NOBODY}"},
        {"user@odata.bind": f"https://graph.microsoft.com/v1.0/users('{NOBODY}')"},
        {"email": "x@partner.example"},
    ],
)
def test_other_forms_are_refused(desk: Any, changes: dict[str, Any]) -> None:
    """What usher does not send is 400."""
    (guest,) = _guests(desk, 1)
    assert _add(desk, _group(desk).id, _value(guest, **changes))[0] == 400


def test_permissions(desk: Any) -> None:
    """Groups' permission is none for teams, and owners want another one."""
    (guest,), team = _guests(desk, 1), _group(desk)
    assert _add(desk, team.id, _value(guest, roles=["owner"]))[0] == 403
    desk.roles = frozenset({"GroupMember.ReadWrite.All"})
    status, body = _add(desk, team.id, _value(guest))
    assert (status, body["error"]["code"]) == (403, "Forbidden")
    assert "API requires one of 'TeamMember.ReadWriteNonOwnerRole.All" in body["error"]["message"]


def test_four_requests_a_minute_for_one_team(make_desk: Any) -> None:
    """The fifth is 429, for this team alone, and the directory's quota is not touched."""
    desk = make_desk(quota=QuotaOptions(time_scale=1e-9))
    (guest,), alpha, beta = _guests(desk, 1), _group(desk), _group(desk, "Project Beta")
    before = {bucket["limit"]: bucket["level"] for bucket in desk.world.quotas.show()}
    assert [_add(desk, alpha.id, _value(guest))[0] for _ in range(5)] == [200] * 4 + [429]
    assert _add(desk, beta.id, _value(guest))[0] == 200
    after = {bucket["limit"]: bucket["level"] for bucket in desk.world.quotas.show()}
    assert {name: after[name] for name in before} == before


def test_teams_have_a_lag_of_their_own(make_desk: Any) -> None:
    """A guest whom the directory shows may not be found by a team yet."""
    desk = make_desk(quota=QuotaOptions(enabled=False), lags={"teams": SecondsRange(50, 60)})
    (guest,) = _guests(desk, 1)
    assert _add(desk, _group(desk).id, _value(guest))[1]["value"][0]["error"]["code"] == "NotFound"
