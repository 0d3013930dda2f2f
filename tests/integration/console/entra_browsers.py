"""A browser of a person who signs in at the sandbox, as far as headers, cookies and forms go."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from tests.sandboxes import Sandbox

_FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_ACTION = re.compile(r'<form method="post" action="([^"]+)">')
_PERSON = re.compile(r'name="user" value="([^"]+)">([^<]+)')


@dataclass
class EntraBrowser:
    """One browser: `site` is at the console, `entra` at the sandbox."""

    site: httpx.AsyncClient
    sandbox: Sandbox
    entra: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=self.sandbox.ready["ca_file"])
        self.entra = httpx.AsyncClient(verify=context, timeout=60)

    @property
    def origin(self) -> dict[str, str]:
        """What a browser says of the page that a form was on."""
        return {"Origin": str(self.site.base_url).rstrip("/")}

    def put(self, name: str, value: str) -> None:
        """Put a cookie into the browser."""
        if name in self.site.cookies:
            self.site.cookies.delete(name)
        self.site.cookies.set(name, value, domain="127.0.0.1", path="/")

    async def begin(self, to: str = "/") -> str:
        """Ask to sign in; returns the address at Entra."""
        answer = await self.site.get(f"/signin?{urlencode({'to': to})}")
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def begin_again(self) -> str:
        """Begin a sign-in though somebody is signed in, as in another tab before."""
        kept = dict(self.site.cookies)
        self.site.cookies.clear()
        place = await self.begin()
        for name, value in kept.items():
            self.put(name, value)
        return place

    async def choose(self, place: str, address: str) -> dict[str, str]:
        """Choose a person at Entra; returns what its page would post back."""
        page = await self.entra.get(place)
        assert page.status_code == 200, page.text
        people = {unescape(text): user for user, text in _PERSON.findall(page.text)}
        user = next(user for text, user in people.items() if address in text)
        page = await self.entra.post(place, data={"user": user})
        assert page.status_code == 200, page.text
        action = _ACTION.search(page.text)
        assert action
        assert urlsplit(unescape(action[1])).path == "/signin/callback"
        return {name: unescape(value) for name, value in _FIELD.findall(page.text)}

    async def bring(self, told: dict[str, str]) -> httpx.Response:
        """Post Entra's answer to the console, as the page of another site does."""
        headers = {"Origin": self.sandbox.ready["url"], "Sec-Fetch-Site": "cross-site"}
        return await self.site.post("/signin/callback", data=told, headers=headers)

    async def sign_in(self, address: str = "ada@contoso.example", to: str = "/") -> httpx.Response:
        """Sign in from the beginning to the end."""
        return await self.bring(await self.choose(await self.begin(to), address))

    async def post(self, path: str, **more: Any) -> httpx.Response:
        """Send a form of a page of ours."""
        token = (await self.site.get("/")).json()["token"]
        return await self.site.post(path, data={"csrf_token": token}, headers=self.origin, **more)

    async def close(self) -> None:
        """Close it."""
        await self.site.aclose()
        await self.entra.aclose()
