"""The sandbox as a process, over HTTPS: tokens, calls, and faults on the wire that only a real one
shows.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import msal
import pytest
import requests

from tests.integration.sandbox.callers import Running, batch_of, text_of


async def test_invites_over_https(sandbox: Running) -> None:
    """A batch goes in, guests and mails come out, and the ledger says so."""
    answer = await sandbox.send("POST", "/$batch", batch_of(1, 2, 3))
    assert answer.status == 200
    assert answer.headers["client-request-id"] == "mine"
    assert answer.headers["request-id"]
    assert answer.headers["Date"]
    assert {item["status"] for item in (await answer.json())["responses"]} == {201}
    stats = await sandbox.control("stats")
    assert stats["items"] == {"invite": {"201": 3}}
    assert stats["mails"]["total"] == 3
    assert stats["mails"]["max_per_address"] == 1
    mails = await sandbox.control("mails?after=1")
    assert [mail["to"] for mail in mails] == ["guest2@partner.example", "guest3@partner.example"]
    recorded = await sandbox.control("requests?operation=batch")
    assert recorded[0]["client_request_id"] == "mine"
    assert min(entry[3] for entry in recorded[0]["items"]) == "guest1@partner.example"
    guests = await sandbox.control("guests?address=guest1@partner.example")
    assert [(guest["state"], guest["mails"]) for guest in guests] == [("PendingAcceptance", 1)]


async def test_ready_file_and_secrets_are_private(sandbox: Running) -> None:
    """Whoever shares the machine does not share the secrets."""
    for path in (
        sandbox.ready_file,
        Path(sandbox.ready["client_secret_file"]),
        Path(sandbox.ready["certificate_file"]),
    ):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert text_of(sandbox.ready["client_secret_file"]) not in sandbox.ready_file.read_text()
    assert sandbox.ready["pid"] == sandbox.process.pid


async def test_plain_answers_carry_graphs_headers(sandbox: Running) -> None:
    """A plain call has its price and ids, also where it is refused."""
    good = await sandbox.send("GET", "/users?$filter=mail in ('ada@contoso.example')&$select=id,mail")
    assert (good.status, good.headers["x-ms-resource-unit"]) == (200, "1")
    bad = await sandbox.send("GET", "/users?$filter=mail ne 'x'")
    assert bad.status == 400
    assert (await bad.json())["error"]["innerError"]["request-id"] == bad.headers["request-id"]


async def test_tokens_are_enforced(sandbox: Running) -> None:
    """No token, a revoked one: 401 InvalidAuthenticationToken; a new one works."""
    good = dict(sandbox.headers)
    sandbox.headers.pop("Authorization")
    answer = await sandbox.send("POST", "/$batch", batch_of(1))
    assert (answer.status, (await answer.json())["error"]["code"]) == (401, "InvalidAuthenticationToken")
    await sandbox.control("tokens", {"action": "revoke"})
    sandbox.headers = good
    assert (await sandbox.send("POST", "/$batch", batch_of(1))).status == 401
    assert sandbox.session
    await sandbox.session.close()
    await sandbox.sign_in()
    assert (await sandbox.send("POST", "/$batch", batch_of(1))).status == 200


async def test_msal_signs_in(sandbox: Running) -> None:
    """The real client library gets a token here, with the secret and with the certificate."""
    pem = text_of(sandbox.ready["certificate_file"])
    start = pem.index("-----BEGIN CERTIFICATE-----")
    certificate = {"private_key": pem[:start], "public_certificate": pem[start:]}
    secret = text_of(sandbox.ready["client_secret_file"])

    def ask(credential: object) -> dict[str, Any]:
        http = requests.Session()
        http.trust_env = False  # REQUESTS_CA_BUNDLE would win over what is said here
        http.verify = sandbox.ready["ca_file"]
        client = msal.ConfidentialClientApplication(
            sandbox.ready["client_id"],
            authority=sandbox.ready["authority"],
            client_credential=credential,
            instance_discovery=False,
            http_client=http,
        )
        try:
            found: dict[str, Any] = client.acquire_token_for_client([f"{sandbox.ready['url']}/.default"])
            return found
        finally:
            http.close()

    for credential in (secret, certificate):
        assert "access_token" in await asyncio.to_thread(ask, credential), credential
    refused = await asyncio.to_thread(ask, "wrong")
    assert refused["error_codes"] == [7000215]


async def _faulty(sandbox: Running, spec: str, number: int) -> tuple[str, int]:
    """Send one batch under a fault that strikes once; return what the caller saw and how many
    guests there are.
    """
    await sandbox.control("faults", {"spec": spec})
    try:
        answer = await sandbox.send("POST", "/$batch", batch_of(number))
        seen = f"{answer.status} {answer.content_type}"
        if answer.content_type == "application/json":
            await answer.json()
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        seen = type(error).__name__
    guests = await sandbox.control(f"guests?address=guest{number}@partner.example")
    return seen, len(guests)


@pytest.mark.parametrize(
    ("spec", "seen", "invited"),
    [
        ("429=1*1", "429 application/json", 0),
        ("500-before=1*1", "500 application/json", 0),
        ("500-after=1*1", "500 application/json", 1),
        ("503=1*1", "503 application/json", 0),
        ("504-after=1*1", "504 application/json", 1),
        ("html-after=1*1", "502 text/html", 1),
        ("html-200-before=1*1", "200 text/html", 0),
        ("expired=1*1", "401 application/json", 0),
        ("truncated=1*1", "ClientPayloadError", 1),
    ],
)
async def test_faults_on_the_wire(sandbox: Running, spec: str, seen: str, invited: int) -> None:
    """Each fault is seen as what it is, and is before or after processing as it says."""
    assert await _faulty(sandbox, spec, 1) == (seen, invited)


@pytest.mark.parametrize(("spec", "invited"), [("reset-before=1*1", 0), ("lost=1*1", 1)])
async def test_resets(sandbox: Running, spec: str, invited: int) -> None:
    """A reset is a dead connection; the ledger knows if the guest was invited."""
    seen, found = await _faulty(sandbox, spec, 1)
    assert seen in ("ClientOSError", "ServerDisconnectedError")
    assert found == invited
    request = (await sandbox.control("requests?operation=batch"))[-1]
    assert (request["status"], request["processed"]) == (0, bool(invited))
    assert (await sandbox.send("POST", "/$batch", batch_of(2))).status == 200


async def test_half_an_answer(sandbox: Running) -> None:
    """An item is missing from the answer, and its guest is there all the same."""
    await sandbox.control("faults", {"faults": [{"fault": "half", "times": 1}]})
    answer = await sandbox.send("POST", "/$batch", batch_of(1, 2, 3))
    assert len((await answer.json())["responses"]) == 2
    assert (await sandbox.control("stats"))["invited"] == 3


async def test_no_answer_at_all(sandbox: Running) -> None:
    """A hanging request holds nobody else up and ends when its caller leaves."""
    await sandbox.control("faults", {"spec": "hang-after=1*1"})
    hanging = asyncio.create_task(sandbox.send("POST", "/$batch", batch_of(1)))
    while (await sandbox.control("stats"))["invited"] == 0:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    assert (await sandbox.send("POST", "/$batch", batch_of(2))).status == 200
    assert not hanging.done()
    hanging.cancel()
    await asyncio.wait({hanging})
    assert (await sandbox.control("stats"))["invited"] == 2


async def test_slow_answers(sandbox: Running) -> None:
    """A slow answer comes late but whole."""
    await sandbox.control("faults", {"faults": [{"fault": "slow", "seconds": [0.3, 0.4]}]})
    started = time.monotonic()
    assert (await sandbox.send("POST", "/$batch", batch_of(1))).status == 200
    assert time.monotonic() - started >= 0.3


async def test_login_faults(sandbox: Running) -> None:
    """The token endpoint can fail too, if it is named."""
    await sandbox.control("faults", {"spec": "503@token=1*1"})
    assert [(await sandbox.token())[0] for _ in range(2)] == [503, 200]
