"""A program brings a bearer token with each request: a producer's, or an access token of Entra.

A token that opens nothing is answered in the same words whatever is wrong with it; the log says
what.
https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from console.access.entra_tokens import NoRole, NotBelieved, read_access_token
from console.access.viewer import Viewer, of_producer
from worker.producers import find_producer, note_refused

if TYPE_CHECKING:
    from config.settings import Settings
    from console.access.access import Access

log = logging.getLogger(__name__)

CHALLENGE: Final = 'Bearer realm="usher"'
_LONGEST: Final = 16_384  # of a header; an access token with many claims is some 4 kB


async def identify(header: str, address: str, settings: Settings, access: Access) -> Viewer:
    """Return the viewer whose token an `Authorization` header brings. Raises HTTPException 401, or
    429 for who tries too often.
    """
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST:
        raise refused("This is no bearer token: send Authorization: Bearer TOKEN.", "invalid_request")
    await access.tries.admit(address, token)
    viewer = await _find(token, settings, access)
    await access.tries.note(address, token, right=viewer is not None)
    if viewer is None:
        if settings.producers:
            await note_refused(access.trail, None, "Authorization: the token opens nothing.")
        raise refused("The token opens nothing: it is wrong, has expired, or has been taken back.", "invalid_token")
    return viewer


async def still_opens(header: str, settings: Settings, access: Access) -> bool:
    """Tell whether a token that opened does so now; nobody is told of it where it does not."""
    try:
        return await _find(header.partition(" ")[2].strip(), settings, access) is not None
    except HTTPException:
        return False


async def _find(token: str, settings: Settings, access: Access) -> Viewer | None:
    if settings.producers:
        producer = await asyncio.to_thread(find_producer, settings, token)
        if producer is not None:
            return of_producer(producer)
    if not settings.console.takes_tokens or token.count(".") != 2:
        return None
    try:
        return await read_access_token(token, settings.console, access.signing_keys)
    except NotBelieved as error:
        log.warning("an access token opens nothing: %s", error)
    except NoRole as error:
        raise HTTPException(
            403, f"{error.name} has no role here: whoever gives out the app roles of usher in Entra can change that."
        ) from None
    return None


def refused(sentence: str, error: str = "") -> HTTPException:
    """Return the answer to a request whose token does not open."""
    challenge = f'{CHALLENGE}, error="{error}"' if error else CHALLENGE
    return HTTPException(401, sentence, {"WWW-Authenticate": challenge})
