"""What is done to a guest after the invitation, on the wire: each step under faults, and a mailbox
that takes four requests at once.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.integration.sandbox.callers import JSON, Running

SENDER = "/users/invites@contoso.example/sendMail"


async def _ids(sandbox: Running) -> tuple[str, str]:
    """Return the ids of a guest and of a group."""
    (guest,) = await sandbox.control("guests?address=linus@partner.example")
    (group,) = await sandbox.control("groups?name=Project%20Alpha")
    return guest["id"], group["id"]


def _message(to: str = "linus@partner.example") -> dict[str, Any]:
    body = {"contentType": "Text", "content": "Hello"}
    return {"message": {"subject": "Hello", "body": body, "toRecipients": [{"emailAddress": {"address": to}}]}}


async def _batch(sandbox: Running, method: str, url: str, body: Any) -> int:
    """Send one request in a `$batch` and return the status of its item."""
    item = {"id": "1", "method": method, "url": url, "headers": JSON, "body": body}
    answer = await sandbox.send("POST", "/$batch", {"requests": [item]})
    return int((await answer.json())["responses"][0]["status"])


async def test_a_group_is_joined_although_the_answer_was_a_timeout(sandbox: Running) -> None:
    """504 after processing: the guest is in, and the same again is 400; 429 before: nothing."""
    guest, group = await _ids(sandbox)
    body = {"members@odata.bind": [f"{sandbox.ready['graph_url']}/directoryObjects/{guest}"]}
    await sandbox.control("faults", {"spec": "504-after@item@update_group=1*1"})
    assert await _batch(sandbox, "PATCH", f"/groups/{group}", body) == 504
    assert await _batch(sandbox, "PATCH", f"/groups/{group}", body) == 400
    (shown,) = await sandbox.control("groups?name=Project%20Alpha")
    assert shown["members"] == ["linus@partner.example"]
    await sandbox.control("faults", {"spec": "429@item@update_user=1*1"})
    assert await _batch(sandbox, "PATCH", f"/users/{guest}", {"companyName": "Partner"}) == 429
    (user,) = await sandbox.control("guests?address=linus@partner.example")
    assert user["company"] == ""
    assert await _batch(sandbox, "PATCH", f"/users/{guest}", {"companyName": "Partner"}) == 204


async def test_a_mail_is_sent_although_the_connection_broke(sandbox: Running) -> None:
    """Whoever sends it again mails twice; a team asked in vain is as it was."""
    guest, team = await _ids(sandbox)
    await sandbox.control("faults", {"spec": "lost@send_mail=1*1,reset-before@add_team_members=1*1"})
    value = {
        "@odata.type": "microsoft.graph.aadUserConversationMember",
        "roles": [],
        "user@odata.bind": f"{sandbox.ready['graph_url']}/users('{guest}')",
    }
    for target, body in ((SENDER, _message()), (f"/teams/{team}/members/add", {"values": [value]})):
        try:
            answer = await sandbox.send("POST", target, body)
            raise AssertionError(answer.status)
        except aiohttp.ClientConnectionError:
            pass
    assert [mail["to"] for mail in await sandbox.control("mails?via=sendMail")] == ["linus@partner.example"]
    assert (await sandbox.control("groups?name=Project%20Alpha"))[0]["members"] == []
    assert (await sandbox.send("POST", f"/teams/{team}/members/add", {"values": [value]})).status == 200


async def test_a_mailbox_takes_four_requests_at_once(sandbox: Running) -> None:
    """The fifth is told to come again, and mails nobody."""
    await sandbox.control("latency", {"latency": "0.5"})
    try:
        answers = await asyncio.gather(
            *(sandbox.send("POST", SENDER, _message(f"g{number}@partner.example")) for number in range(5))
        )
    finally:
        await sandbox.control("latency", {"latency": "0"})
    refused = [answer for answer in answers if answer.status == 429]
    assert [answer.status for answer in answers if answer not in refused] == [202] * 4
    assert refused[0].headers["Retry-After"] == "1"
    assert len(await sandbox.control("mails")) == 4


async def test_the_pages_of_mail(sandbox: Running) -> None:
    """A list, each letter, and 404 beyond; none may run anything."""
    await sandbox.send("POST", SENDER, _message())
    assert sandbox.session
    for path, status in (("/", 200), ("/mails", 200), ("/mails/1", 200), ("/mails/2", 404), ("/mails/x", 404)):
        async with sandbox.session.get(f"{sandbox.ready['url']}{path}") as answer:
            assert (path, answer.status) == (path, status)
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert status == 404 or "linus@partner.example" in await answer.text()
