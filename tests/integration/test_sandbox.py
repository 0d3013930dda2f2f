"""The sandbox as a process over HTTPS, as everybody else meets it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msal
import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
JSON = {"Content-Type": "application/json"}


@dataclass
class Running:
    """A sandbox process and what its ready file says."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    ready_file: Path
    session: aiohttp.ClientSession | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def sign_in(self) -> dict[str, str]:
        """Open a session that trusts the sandbox, and take a token for it."""
        context = ssl.create_default_context(cafile=self.ready["ca_file"])
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), timeout=aiohttp.ClientTimeout(total=20)
        )
        status, body = await self.token()
        assert status == 200, body
        self.headers = {**JSON, "Authorization": f"Bearer {body['access_token']}", "client-request-id": "mine"}
        return self.headers

    async def token(self) -> tuple[int, Any]:
        """Ask for a token with the secret as its file has it now."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.ready["client_id"],
            "client_secret": _text(self.ready["client_secret_file"]),
            "scope": "https://graph.microsoft.com/.default",
        }
        assert self.session
        async with self.session.post(f"{self.ready['authority']}/oauth2/v2.0/token", data=form) as answer:
            return answer.status, await answer.json()

    async def send(self, method: str, target: str, body: object = None) -> aiohttp.ClientResponse:
        """Send one Graph call and read its answer."""
        assert self.session
        data = None if body is None else json.dumps(body)
        async with self.session.request(
            method, f"{self.ready['graph_url']}{target}", data=data, headers=self.headers
        ) as answer:
            await answer.read()
            return answer

    async def control(self, name: str, body: object = None) -> Any:
        """Read from the control API, or change something with a body."""
        assert self.session
        url = f"{self.ready['control_url']}/{name}"
        async with self.session.request("GET" if body is None else "POST", url, json=body) as answer:
            document = await answer.json()
            assert answer.status == 200, document
            return document

    def stop(self) -> int:
        """End it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


def _text(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8")


def _mode(path: str | Path) -> int:
    return Path(path).stat().st_mode & 0o777


def _batch(*numbers: int, domain: str = "partner.example") -> dict[str, Any]:
    return {
        "requests": [
            {
                "id": str(number),
                "method": "POST",
                "url": "/invitations",
                "headers": JSON,
                "body": {
                    "invitedUserEmailAddress": f"guest{number}@{domain}",
                    "inviteRedirectUrl": "https://example.com",
                    "sendInvitationMessage": True,
                },
            }
            for number in numbers
        ]
    }


def _start(folder: Path, *arguments: str) -> Running:
    ready_file = folder / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--ready-file", str(ready_file), *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 20
    while not ready_file.exists():
        assert process.stderr is not None
        if process.poll() is not None:
            raise AssertionError(process.stderr.read().decode())
        if time.monotonic() > deadline:
            process.kill()
            process.communicate()
            raise AssertionError("The sandbox did not get ready within 20 s.")
        time.sleep(0.02)
    return Running(process, json.loads(ready_file.read_bytes()), ready_file)


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sandbox")
    running = _start(folder, "--replication", "0", "--log", str(folder / "log.jsonl"))
    yield running
    status = running.stop()
    assert running.process.stderr is not None
    noise = running.process.stderr.read().decode()
    running.process.stderr.close()
    assert status == 0
    assert noise.count("\n") == 1, noise  # the sentence that it listens; no traceback of any fault played here


@pytest.fixture
async def sandbox(_shared: Running) -> AsyncIterator[Running]:
    """A sandbox as new, with a signed-in caller."""
    await _shared.sign_in()
    await _shared.control("reset", {})
    yield _shared
    assert _shared.session
    await _shared.session.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start sandboxes with options of their own."""
    started: list[Running] = []

    def begin(*arguments: str) -> Running:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(_start(folder, *arguments))
        return started[-1]

    yield begin
    for running in started:
        running.stop()
        assert running.process.stderr is not None
        running.process.stderr.close()


async def test_invites_over_https(sandbox: Running) -> None:
    """A batch goes in, guests and mails come out, and the ledger says so."""
    answer = await sandbox.send("POST", "/$batch", _batch(1, 2, 3))
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
    assert _text(sandbox.ready["client_secret_file"]) not in sandbox.ready_file.read_text()
    assert sandbox.ready["pid"] == sandbox.process.pid


async def test_plain_answers_carry_graphs_headers(sandbox: Running) -> None:
    """A plain call has its price and ids, also where it is refused."""
    good = await sandbox.send("GET", "/users?$filter=mail eq 'ada@contoso.example'&$select=id,mail")
    assert (good.status, good.headers["x-ms-resource-unit"]) == (200, "1")
    bad = await sandbox.send("GET", "/users?$filter=mail ne 'x'")
    assert bad.status == 400
    assert (await bad.json())["error"]["innerError"]["request-id"] == bad.headers["request-id"]


async def test_tokens_are_enforced(sandbox: Running) -> None:
    """No token, a revoked one: 401 InvalidAuthenticationToken; a new one works."""
    good = dict(sandbox.headers)
    sandbox.headers.pop("Authorization")
    answer = await sandbox.send("POST", "/$batch", _batch(1))
    assert (answer.status, (await answer.json())["error"]["code"]) == (401, "InvalidAuthenticationToken")
    await sandbox.control("tokens", {"action": "revoke"})
    sandbox.headers = good
    assert (await sandbox.send("POST", "/$batch", _batch(1))).status == 401
    assert sandbox.session
    await sandbox.session.close()
    await sandbox.sign_in()
    assert (await sandbox.send("POST", "/$batch", _batch(1))).status == 200


async def test_msal_signs_in(sandbox: Running) -> None:
    """The real client library gets a token here, with the secret and with the certificate."""
    pem = _text(sandbox.ready["certificate_file"])
    start = pem.index("-----BEGIN CERTIFICATE-----")
    certificate = {"private_key": pem[:start], "public_certificate": pem[start:]}
    secret = _text(sandbox.ready["client_secret_file"])

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
    """Send one batch under a fault that strikes once; return what the caller saw and how many guests there are."""
    await sandbox.control("faults", {"spec": spec})
    try:
        answer = await sandbox.send("POST", "/$batch", _batch(number))
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
    assert (await sandbox.send("POST", "/$batch", _batch(2))).status == 200


async def test_half_an_answer(sandbox: Running) -> None:
    """An item is missing from the answer, and its guest is there all the same."""
    await sandbox.control("faults", {"faults": [{"fault": "half", "times": 1}]})
    answer = await sandbox.send("POST", "/$batch", _batch(1, 2, 3))
    assert len((await answer.json())["responses"]) == 2
    assert (await sandbox.control("stats"))["invited"] == 3


async def test_no_answer_at_all(sandbox: Running) -> None:
    """A hanging request holds nobody else up and ends when its caller leaves."""
    await sandbox.control("faults", {"spec": "hang-after=1*1"})
    assert sandbox.session
    url = f"{sandbox.ready['graph_url']}/$batch"
    with pytest.raises(TimeoutError):
        async with sandbox.session.post(
            url, json=_batch(1), headers=sandbox.headers, timeout=aiohttp.ClientTimeout(total=0.3)
        ):
            pass
    assert (await sandbox.send("POST", "/$batch", _batch(2))).status == 200
    assert (await sandbox.control("stats"))["invited"] == 2


async def test_slow_answers(sandbox: Running) -> None:
    """A slow answer comes late but whole."""
    await sandbox.control("faults", {"faults": [{"fault": "slow", "seconds": [0.3, 0.4]}]})
    started = time.monotonic()
    assert (await sandbox.send("POST", "/$batch", _batch(1))).status == 200
    assert 0.3 <= time.monotonic() - started < 5


async def test_login_faults(sandbox: Running) -> None:
    """The token endpoint can fail too, if it is named."""
    await sandbox.control("faults", {"spec": "503@token=1*1"})
    assert [(await sandbox.token())[0] for _ in range(2)] == [503, 200]


async def test_secret_rotation_and_expiry(sandbox: Running) -> None:
    """The file always has the secret that is good now."""
    old = _text(sandbox.ready["client_secret_file"])
    await sandbox.control("secret", {"action": "rotate"})
    assert _text(sandbox.ready["client_secret_file"]) != old
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
    assert (await (await sandbox.send("POST", "/$batch", _batch(1))).json())["responses"][0]["status"] == 403
    await sandbox.control("policy", {"allowInvitesFrom": "everyone"})
    await sandbox.control("abuse", {"blocked": True})
    assert (await (await sandbox.send("POST", "/$batch", _batch(1))).json())["responses"][0]["status"] == 403
    await sandbox.control("reopen", {})
    assert (await (await sandbox.send("POST", "/$batch", _batch(1))).json())["responses"][0]["status"] == 201


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
        for item in (await (await sandbox.send("POST", "/$batch", _batch(*range(20)))).json())["responses"]
    ]
    assert (statuses.count(201), statuses.count(429)) == (10, 10)
    await asyncio.sleep(0.15)
    answer = (await (await sandbox.send("POST", "/$batch", _batch(50))).json())["responses"][0]
    assert answer["status"] == 201
    await sandbox.control("quota", {"limits": {}, "time_scale": 1})


async def test_redeem_link(sandbox: Running) -> None:
    """A link works once, and not after the guest was invited again."""
    assert sandbox.session

    async def invite() -> str:
        answer = await sandbox.send("POST", "/$batch", _batch(1))
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
    body = _batch(1)
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
    await sandbox.send("POST", "/$batch", _batch(1, 2))
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


async def test_state_dir_outlives_a_kill(start: Callable[..., Running], tmp_path: Path) -> None:
    """With a state folder, guests, mails, secret and trust survive a SIGKILL, and a token taken before still works."""
    folder = str(tmp_path / "state")
    first = start("--state-dir", folder, "--replication", "0")
    headers = await first.sign_in()
    await first.send("POST", "/$batch", _batch(1, 2))
    assert first.session
    await first.session.close()
    ca, secret = _text(first.ready["ca_file"]), _text(first.ready["client_secret_file"])
    first.process.kill()
    first.process.wait(10)
    second = start("--state-dir", folder, "--replication", "0")
    assert _text(second.ready["ca_file"]) == ca
    assert _text(second.ready["client_secret_file"]) == secret
    await second.sign_in()
    second.headers = headers
    answer = await second.send("POST", "/$batch", _batch(1))
    assert (await answer.json())["responses"][0]["status"] == 201
    stats = await second.control("stats")
    assert (stats["mails"]["total"], stats["mails"]["max_per_address"]) == (3, 2)
    assert second.session
    await second.session.close()


async def test_many_tenants(start: Callable[..., Running]) -> None:
    """Each tenant has its own application, secret, people and counts."""
    running = start("--tenants", "3", "--clock-skew", "-3600")
    assert len({tenant["tenant_id"] for tenant in running.ready["tenants"]}) == 3
    assert len({tenant["client_id"] for tenant in running.ready["tenants"]}) == 3
    third = running.ready["tenants"][2]
    running.ready |= third
    await running.sign_in()
    answer = await running.send("POST", "/$batch", _batch(1))
    assert (await answer.json())["responses"][0]["status"] == 201
    stats = await running.control("stats")
    assert [tenant["invited"] for tenant in stats["tenants"].values()] == [0, 0, 1]
    assert running.session
    await running.session.close()


def test_names_are_in_the_certificate(start: Callable[..., Running]) -> None:
    """Mapped public host names are served with a certificate that fits them."""
    running = start("--names", "login.microsoftonline.com,graph.microsoft.com")
    context = ssl.create_default_context(cafile=running.ready["ca_file"])
    port = int(running.ready["url"].rpartition(":")[2])
    for name in ("login.microsoftonline.com", "graph.microsoft.com", "localhost", "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            assert secure.version() == "TLSv1.3"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_on_signals(start: Callable[..., Running], number: signal.Signals) -> None:
    """Told to end, it ends with 0 and takes its ready file and secrets with it."""
    running = start()
    running.process.send_signal(number)
    assert running.process.wait(10) == 0
    assert not running.ready_file.exists()
    assert not Path(running.ready["client_secret_file"]).exists()


def test_ends_with_its_parent(start: Callable[..., Running]) -> None:
    """A sandbox started on demand does not outlive who started it."""
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = start("--parent-pid", str(parent.pid))
    parent.communicate(b"\n", timeout=10)
    assert running.process.wait(10) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],
        ["--host", "example.com"],
        ["--faults", "505=1"],
        ["--quota", "writes=1/1s"],
        ["--latency", "slow"],
        ["--port", "99999"],
        ["--tenants", "0"],
        ["--time-scale", "0"],
    ],
)
def test_bad_options_are_one_sentence(arguments: list[str]) -> None:
    """Status 2, one sentence, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments], cwd=ROOT, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert b"Traceback" not in done.stderr


def test_port_taken(start: Callable[..., Running]) -> None:
    """A port somebody else has is one sentence, status 2."""
    port = start().ready["url"].rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "--port", port], cwd=ROOT, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode() == f"sandbox: The sandbox cannot listen on 127.0.0.1 port {port}: {os.strerror(98)}.\n"
