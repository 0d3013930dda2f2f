"""The reply to one HTTP request is read to its end, and never taken for more than it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from worker.graph.batch import Fate, GraphAnswer

if TYPE_CHECKING:
    import aiohttp

LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
"""Of one answer after decompression. Twenty invitations are 40 kB; what is a hundred times that is
no answer of Graph.
"""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What came back for one try, before it is dealt out to the requests."""

    fate: Fate
    client_request_id: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    note: str = ""

    def as_answer(self) -> GraphAnswer:
        """Return it as the answer to one request."""
        return GraphAnswer(self.fate, self.status, self.headers, self.body, self.note)


_WITHOUT_A_BODY = frozenset({202, 204})
"""Successes that say nothing: `sendMail` answers 202, a change of a user 204."""


async def read_reply(response: aiohttp.ClientResponse, request_id: str) -> Reply:
    """Read an answer to its end. A success needs a whole JSON body; a refusal stands by its status
    alone.
    """
    from aiohttp import ClientError  # loaded by whoever got the response

    headers = {name.lower(): value for name, value in response.headers.items()}
    status = response.status
    reply = Reply(Fate.ANSWERED, request_id, status, headers)
    try:
        content = await _read_content(response)
        if content is None:
            note = "the answer is too large"
        elif not content.strip():
            note = "" if status in _WITHOUT_A_BODY else "the answer is empty"
        else:
            return Reply(Fate.ANSWERED, request_id, status, headers, orjson.loads(content))
    except orjson.JSONDecodeError:
        note = "the answer is not JSON"
    except (ClientError, OSError, TimeoutError) as error:
        note = f"the answer broke off ({describe_error(error)})"
    if 200 <= status < 300 and note:
        return Reply(Fate.LOST, request_id, note=note)
    return reply


async def _read_content(response: aiohttp.ClientResponse) -> bytes | None:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            response.close()
            return None
    return bytes(content.removeprefix(b"\xef\xbb\xbf"))


def describe_error(error: BaseException) -> str:
    """Return what happened without addresses and hosts' answers: type and system's reason."""
    reason = getattr(error, "strerror", None) or getattr(getattr(error, "os_error", None), "strerror", None)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
