"""What a test or a person does to a running sandbox, and reads from it: control API, redeem pages,
log.
"""

from __future__ import annotations

import asyncio
import io
import json

from tests.integration.sandbox.callers import Running, batch_of, text_of


async def test_secret_rotation_and_expiry(sandbox: Running) -> None:
    """The file always has the secret that is good now."""
    old = text_of(sandbox.ready["client_secret_file"])
    await sandbox.control("secret", {"action": "rotate"})
    assert text_of(sandbox.ready["client_secret_file"]) != old
    assert (await sandbox.token())[0] == 200
    await sandbox.control("secret", {"action": "expire"})
    assert (await sandbox.token())[1]["error_codes"] == [7000222]
    await sandbox.control("reopen", {})
    assert (await sandbox.token())[0] == 200


async def test_control_changes_people_and_policy(sandbox: Running) -> None:
    """Add, accept, disable, delete people; change policy and roles; block and reopen."""
    await sandbox.control("users", {"action": "add", "email": "known@partner.example", "state": "Accepted"})
    await sandbox.control("users", {"action": "disable", "email": "known@partner.example"})
    await sandbox.control("users", {"action": "delete", "email": "known@partner.example"})
    assert await sandbox.control("guests?address=known@partner.example") == []
    policy = await sandbox.control("policy", {"allowInvitesFrom": "none", "roles": ["User.Invite.All"]})
    assert policy["roles"] == ["User.Invite.All"]
    assert (await (await sandbox.send("POST", "/$batch", batch_of(1))).json())["responses"][0]["status"] == 403
    await sandbox.control("policy", {"allowInvitesFrom": "everyone"})
    await sandbox.control("abuse", {"blocked": True})
    assert (await (await sandbox.send("POST", "/$batch", batch_of(1))).json())["responses"][0]["status"] == 403
    await sandbox.control("reopen", {})
    assert (await (await sandbox.send("POST", "/$batch", batch_of(1))).json())["responses"][0]["status"] == 201


async def test_control_says_what_is_wrong(sandbox: Running) -> None:
    """A control request that is not understood is a sentence, never a silent nothing."""
    assert sandbox.session
    url = sandbox.ready["control_url"]
    for name, body in (
        ("faults", {"spec": "505=1"}),
        ("users", {"action": "add", "email": "ada@contoso.example"}),
        ("users", {"action": "delete", "email": "nobody@partner.example"}),
        ("policy", {"allow_invites_from": "some"}),
        ("policy", {"tenant_id": "none"}),
        ("quota", {"time_scale": 0}),
        ("quota", {"speed": 1}),
        ("secret", {"action": "hide"}),
        ("latency", {"latency": "fast"}),
    ):
        async with sandbox.session.post(f"{url}/{name}", json=body) as answer:
            assert answer.status == 400, (name, body)
            assert (await answer.json())["error"]
    async with sandbox.session.post(f"{url}/reset", data=b"{}", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    async with sandbox.session.get(f"{url}/everything") as answer:
        assert answer.status == 404


async def test_quota_can_be_changed_while_it_runs(sandbox: Running) -> None:
    """A small limit throttles items one by one; a fast clock makes waiting short."""
    await sandbox.control("quota", {"limits": "invitations_per_tenant=10/100s", "time_scale": 100})
    statuses = [
        item["status"]
        for item in (await (await sandbox.send("POST", "/$batch", batch_of(*range(20)))).json())["responses"]
    ]
    assert (statuses.count(201), statuses.count(429)) == (10, 10)
    await asyncio.sleep(0.15)
    answer = (await (await sandbox.send("POST", "/$batch", batch_of(50))).json())["responses"][0]
    assert answer["status"] == 201
    await sandbox.control("quota", {"limits": {}, "time_scale": 1})


async def test_redeem_link(sandbox: Running) -> None:
    """A link works once, and not after the guest was invited again."""
    assert sandbox.session

    async def invite() -> str:
        answer = await sandbox.send("POST", "/$batch", batch_of(1))
        return str((await answer.json())["responses"][0]["body"]["inviteRedeemUrl"])

    old, new = await invite(), await invite()
    statuses = []
    for method, url in (("GET", old), ("GET", new), ("POST", new), ("POST", new)):
        async with sandbox.session.request(method, url) as answer:
            statuses.append(answer.status)
    assert statuses == [410, 200, 200, 410]
    assert (await sandbox.control("guests?address=guest1@partner.example"))[0]["state"] == "Accepted"


async def test_page_is_escaped(sandbox: Running) -> None:
    """What callers send is shown as text."""
    body = batch_of(1)
    body["requests"][0]["body"]["invitedUserDisplayName"] = "<script>alert(1)</script>"
    await sandbox.send("POST", "/$batch", body)
    assert sandbox.session
    async with sandbox.session.get(f"{sandbox.ready['url']}/") as answer:
        page = await answer.text()
    assert "guest1@partner.example" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_log_has_every_invitation_and_mail(sandbox: Running) -> None:
    """One line each, written before the answer left."""
    log = sandbox.ready_file.with_name("log.jsonl")
    before = len(log.read_bytes().splitlines())
    await sandbox.send("POST", "/$batch", batch_of(1, 2))
    lines = [json.loads(line) for line in log.read_bytes().splitlines()[before:]]
    assert sorted(line["event"] for line in lines) == ["invitation", "invitation", "mail", "mail"]


async def test_too_large_and_unknown(sandbox: Running) -> None:
    """A body above 4 MB is 413, an unknown path 404."""
    assert sandbox.session
    async with sandbox.session.post(
        f"{sandbox.ready['graph_url']}/$batch", data=io.BytesIO(bytes(5 * 1024 * 1024)), headers=sandbox.headers
    ) as answer:
        assert answer.status == 413
    async with sandbox.session.get(f"{sandbox.ready['url']}/nothing/here") as answer:
        assert answer.status == 404
