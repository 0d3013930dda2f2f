"""A sandbox as a process of its own, and a caller who has signed in and speaks its wire."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.processes import ROOT

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
            "client_secret": text_of(self.ready["client_secret_file"]),
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
        return self.process.wait(60)


def text_of(path: str | Path) -> str:
    """Return what is in a file."""
    return Path(path).read_text(encoding="utf-8")


def mode_of(path: str | Path) -> int:
    """Return who may read and write a file."""
    return Path(path).stat().st_mode & 0o777


def batch_of(*numbers: int, domain: str = "partner.example") -> dict[str, Any]:
    """Return a `$batch` that invites so many guests."""
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


def start_sandbox(folder: Path, *arguments: str) -> Running:
    """Start a sandbox as a person would, its ready file in a folder."""
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
