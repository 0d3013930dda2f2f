"""The script that follows an administrator's own: for each guest an invitation, then a call for the
profile, one for the sponsor and one for the group; so many at a time that quota is the limit.

It waits as long as Graph says where it is throttled, and a moment where the directory does not
know the guest yet. It keeps nothing: run twice, it does all of it twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

AT_ONCE = 64
_NOT_YET_S = 0.3  # at ten times the speed
_TRIES = 100


async def run_script(table: Mapping[str, Any], ca_file: str, rows: int, sponsor: str, group: str) -> int:
    """Bring so many guests the whole way; returns how many got there. `table`: the connection's."""
    trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca_file))
    async with aiohttp.ClientSession(connector=trust) as session:
        form = {
            "grant_type": "client_credentials",
            "client_id": table["client_id"],
            "client_secret": table["client_secret"],
            "scope": table["graph_url"].removesuffix("/v1.0") + "/.default",
        }
        async with session.post(f"{table['authority']}/oauth2/v2.0/token", data=form) as answer:
            session.headers["Authorization"] = f"Bearer {(await answer.json())['access_token']}"
        script = _Script(session, table["graph_url"], sponsor, group)
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> bool:
            async with places:
                return await script.bring(number)

        return sum(await asyncio.gather(*(one(number) for number in range(rows))))


class _Script:
    def __init__(self, session: aiohttp.ClientSession, graph_url: str, sponsor: str, group: str) -> None:
        self._session = session
        self._url = graph_url
        self._sponsor = sponsor
        self._group = group

    async def bring(self, number: int) -> bool:
        """Bring one guest the whole way."""
        body = {
            "invitedUserEmailAddress": f"script.{number}@partner{number % 50}.example",
            "inviteRedirectUrl": "https://myapplications.microsoft.com",
            "sendInvitationMessage": True,
        }
        invited = await self._call("POST", "/invitations", body)
        guest = invited["invitedUser"]["id"]
        await self._call("PATCH", f"/users/{guest}", {"companyName": "Partner Ltd", "department": "Sales"})
        sponsor = {"@odata.id": f"{self._url}/users/{self._sponsor}"}
        await self._call("POST", f"/users/{guest}/sponsors/$ref", sponsor)
        member = {"@odata.id": f"{self._url}/directoryObjects/{guest}"}
        await self._call("POST", f"/groups/{self._group}/members/$ref", member)
        return True

    async def _call(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        for _ in range(_TRIES):
            async with self._session.request(method, self._url + path, json=body) as answer:
                if answer.status < 300:
                    return await answer.json() if answer.status != 204 else None
                wait_s = float(answer.headers.get("Retry-After", _NOT_YET_S))
                if answer.status not in (400, 404, 429):
                    raise RuntimeError(f"{method} was answered with {answer.status}")
            await asyncio.sleep(wait_s)
        raise RuntimeError(f"{method} was not done in {_TRIES} tries")
