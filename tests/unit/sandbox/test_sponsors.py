"""Sponsors in the sandbox: named in the invitation, or added by reference."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.options import QuotaOptions, SecondsRange

BASE = "https://127.0.0.1:1/v1.0"
ROLES = frozenset({"User.ReadWrite.All", "GroupMember.Read.All"})


def _ids(desk: Any) -> tuple[str, str, str]:
    """Return the ids of two members and a group."""
    group = next(group for group in desk.tenant.groups.values() if group.display_name == "Partners")
    return desk.tenant.find("ada@contoso.example").id, desk.tenant.find("grace@contoso.example").id, group.id


def _guest(desk: Any, *sponsors: str) -> str:
    desk.roles = ROLES
    body = {"invitedUserSponsors": [{"id": name} for name in sponsors]} if sponsors else {}
    status, answer = desk.invite("new@partner.example", **body)
    assert status == 201, answer
    return str(answer["invitedUser"]["id"])


def _add(desk: Any, guest: str, name: str, kind: str = "users") -> Any:
    return desk.ask("POST", f"/users/{guest}/sponsors/$ref", {"@odata.id": f"{BASE}/{kind}/{name}"})


def _read(desk: Any, guest: str) -> list[str]:
    status, body = desk.read(f"/users/{guest}/sponsors?$select=id,displayName")
    assert status == 200
    return [sponsor["id"] for sponsor in body["value"]]


@pytest.mark.parametrize("taken", [True, False])
def test_an_invitation_names_sponsors(desk: Any, taken: bool) -> None:
    """They are set, or ignored without a word: both are said to happen."""
    ada, _, group = _ids(desk)
    desk.tenant.sponsors_taken = taken
    assert _read(desk, _guest(desk, ada, group)) == ([ada, group] if taken else [])


def test_sponsors_are_added_and_removed_by_reference(desk: Any) -> None:
    """Users and groups; who is one already is 400, as with members."""
    ada, grace, group = _ids(desk)
    guest = _guest(desk, ada)
    assert _add(desk, guest, grace).status == 204
    assert _add(desk, guest, group, "groups").status == 204
    again = _add(desk, guest, ada)
    assert again.status == 400
    assert "already exist for the following modified properties: 'sponsors'" in again.body.decode()
    assert desk.ask("DELETE", f"/users/{guest}/sponsors/{ada}/$ref").status == 204
    assert desk.ask("DELETE", f"/users/{guest}/sponsors/{ada}/$ref").status == 404
    assert _read(desk, guest) == [grace, group]
    assert ada in desk.tenant.users


def test_without_ref_the_sponsor_is_deleted(desk: Any) -> None:
    """The slip that costs a colleague's account costs it here too."""
    ada, _, _ = _ids(desk)
    guest = _guest(desk, ada)
    assert desk.ask("DELETE", f"/users/{guest}/sponsors/{ada}").status == 204
    assert ada in desk.tenant.deleted
    assert _read(desk, guest) == []


def test_the_sixth_is_refused(desk: Any) -> None:
    """Five at most, however they came."""
    guest = _guest(desk)
    groups = [group.id for group in desk.tenant.groups.values()][:6]
    assert [_add(desk, guest, name, "groups").status for name in groups] == [204] * 5 + [400]
    assert len(_read(desk, guest)) == 5


def test_unknown_sponsors_and_forms(desk: Any) -> None:
    """Nobody is 404; another kind of reference is 400."""
    ada, _, _ = _ids(desk)
    guest = _guest(desk)
    assert _add(desk, guest, "00000000-0000-4000-8000-000000000000").status == 404
    assert _add(desk, guest, ada, "devices").status == 400
    assert desk.ask("POST", f"/users/{guest}/sponsors/$ref", {"id": ada}).status == 400
    assert desk.read(f"/users/{guest}/sponsors?$expand=manager")[0] == 400


def test_who_may_not_read_groups_sees_their_id(desk: Any) -> None:
    """As documented: id and type, nothing else."""
    *_, group = _ids(desk)
    guest = _guest(desk, group)
    desk.roles = frozenset({"User.Read.All"})
    body = orjson.loads(desk.ask("GET", f"/users/{guest}/sponsors").body)
    assert body["value"] == [{"@odata.type": "#microsoft.graph.group", "id": group}]
    assert _add(desk, guest, group, "groups").status == 403


def test_sponsors_have_a_lag_of_their_own(make_desk: Any) -> None:
    """Until it is over, the guest is not there: 404."""
    desk = make_desk(quota=QuotaOptions(enabled=False), lags={"sponsors": SecondsRange(50, 60)})
    ada, _, _ = _ids(desk)
    guest = _guest(desk)
    assert desk.read(f"/users/{guest}")[0] == 200
    assert _add(desk, guest, ada).status == 404
    assert desk.read(f"/users/{guest}/sponsors")[0] == 404
