"""A client signs in once for an access token, however many rows, tasks and processes wait.

    memory of this process  ->  shelf in Redis  ->  Entra, through MSAL in a thread

A token is fetched anew while the old one still serves, and one that somebody else fetched since is
taken up within seconds. The sign-in itself: `msal_app.py`.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState

from config.connections import CREDENTIAL_KEYS, Connection
from config.references import AssertionSource, Reference
from worker.errors import TokenError, TokenRefused, TokenUnavailable
from worker.graph.batch import Fate
from worker.graph.retry import READS, decide_retry
from worker.signin.credentials import AccessToken, load_credentials
from worker.signin.kinds.kind import Credential
from worker.signin.msal_app import Application, CredentialRefused
from worker.signin.token_cache import UNLOCKED, TokenShelf

REPEAT_AFTER_S = 5.0
"""A failure is the answer for so long, unless the service names a longer time: a hundred waiting
rows ask once. Well below the 10 s within which a changed secret must count.
"""

LOOK_AT_SHELF_S = 5.0
"""So soon does a process at work take up a token that another has fetched meanwhile: it may tell of
roles that were granted since.
"""

SHELF_WAIT_S = 10.0
"""How long to wait for the process that is asking; then this one asks too."""

_POLL_S = 0.05
_log = logging.getLogger("usher.tokens")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Slot:
    """What this process knows of one client with one set of credentials."""

    token: AccessToken | None = None
    asking: asyncio.Task[AccessToken | TokenError] | None = None
    asking_fresh: bool = False
    failure: TokenError | None = None
    failure_until_s: float = 0.0
    looked_s: float = 0.0  # at the shelf, on the source's clock
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    refused_hash: bytes = b""  # of a token that Graph refused: never taken again, wherever it still lies
    applications: dict[str, Application] = field(default_factory=dict)  # by the credential's fingerprint


class TokenSource:
    """Hands out tokens within one process and event loop."""

    def __init__(
        self,
        shelf: TokenShelf | None = None,
        *,
        timeout_s: float = 10.0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: random.Random | None = None,
        heard: Callable[[Connection, str], None] | None = None,
    ) -> None:
        """Without a `shelf` (there is no ledger key) nothing is shared. `timeout_s` is for one HTTP
        call of a sign-in; `heard` is told how each sign-in went ("ok", "refused", "unavailable").
        """
        self._shelf = shelf
        self._timeout_s = timeout_s
        self._now = now
        self._sleep = sleep
        self._chance = chance or random.Random()
        self._heard = heard
        self._slots: dict[tuple[object, ...], _Slot] = {}
        self._known: dict[str, tuple[Connection, _Slot]] = {}  # by name: each batch asks, and a key is long
        self._threads: ThreadPoolExecutor | None = None

    async def get(self, connection: Connection, *, fresh: bool = False) -> AccessToken:
        """Return a token that is valid for a request sent now.

        `fresh` asks Entra whatever lies at hand, with the credentials as they are now: for checks.
        Raises `TokenRefused` when a person must act, `TokenUnavailable` when it passes by itself.
        """
        slot = self._slot(connection)
        if not fresh and self._shelf is not None and slot.token is not None:
            await self._look(self._shelf, connection.client_key, slot)
        now_s = self._now()
        if not fresh:
            if slot.token is not None and slot.token.is_usable(now_s):
                if slot.token.is_due(now_s) and slot.asking is None and now_s >= slot.failure_until_s:
                    self._start(connection, slot, fresh=False)
                return slot.token
            if slot.failure is not None and slot.asking is None and now_s < slot.failure_until_s:
                raise copy.copy(slot.failure)
        while fresh and slot.asking is not None and not slot.asking_fresh:
            await asyncio.wait({slot.asking})  # one request in flight a client, also for checks
        task = slot.asking or self._start(connection, slot, fresh=fresh)
        await asyncio.wait({task})  # leaves the task alone when this waiter is cancelled: others wait for it too
        if task.cancelled():
            raise TokenUnavailable("The sign-in was interrupted; usher tries again by itself.")
        result = task.result()
        if isinstance(result, TokenError):
            raise copy.copy(result)  # each waiter gets its own: a shared one would collect everybody's traceback
        return result

    def _slot(self, connection: Connection) -> _Slot:
        found = self._known.get(connection.name)
        if found is None or found[0] is not connection:
            slot = self._slots.setdefault(_slot_key(connection), _Slot())
            found = self._known[connection.name] = (connection, slot)
        return found[1]

    async def invalidate(self, connection: Connection, token: AccessToken) -> None:
        """Forget a token that Graph refused (401), here and on the shelf."""
        slot = self._slot(connection)
        slot.refused_hash = _hash(token)
        if slot.token is not None and slot.token.secret == token.secret:
            slot.token = None
        if self._shelf is not None:
            await self._shelf.discard(connection.client_key, token)

    async def close(self) -> None:
        """Stop what is under way and close the connections. May be called twice."""
        tasks = [slot.asking for slot in self._slots.values() if slot.asking is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for slot in self._slots.values():
            for application in slot.applications.values():
                application.close()
        self._slots.clear()
        self._known.clear()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)  # a call on the wire ends by its own time limit

    def _start(self, connection: Connection, slot: _Slot, *, fresh: bool) -> asyncio.Task[AccessToken | TokenError]:
        task = asyncio.create_task(self._ask(connection, slot, fresh=fresh), name=f"sign-in {connection.name}")
        slot.asking, slot.asking_fresh = task, fresh

        def forget(done: asyncio.Task[Any]) -> None:
            if slot.asking is done:
                slot.asking = None

        task.add_done_callback(forget)
        return task

    async def _ask(self, connection: Connection, slot: _Slot, *, fresh: bool) -> AccessToken | TokenError:
        """Obtain a token and remember how it went. A refusal is returned: nobody may be there to
        catch it.
        """
        try:
            token = await self._obtain(connection, slot, fresh=fresh)
        except TokenError as error:
            wait_s = REPEAT_AFTER_S
            if isinstance(error, TokenUnavailable) and error.retry_after_s is not None:
                wait_s = max(wait_s, error.retry_after_s)
            slot.failure, slot.failure_until_s = error, self._now() + wait_s
            if slot.token is not None and slot.token.is_usable(self._now()):
                _log.warning("connection %s: the token could not be renewed yet. %s", connection.name, error)
            return error
        slot.token, slot.failure, slot.failure_until_s, slot.looked_s = token, None, 0.0, self._now()
        return token

    async def _look(self, shelf: TokenShelf, client_key: str, slot: _Slot) -> None:
        """Now and then, take up what was bought with the same credential after our own token;
        whoever comes meanwhile waits for it.
        """
        if self._now() - slot.looked_s < LOOK_AT_SHELF_S and not slot.looking.locked():
            return
        async with slot.looking:
            if self._now() - slot.looked_s < LOOK_AT_SHELF_S:
                return
            found, own = await shelf.read(client_key), slot.token
            slot.looked_s = self._now()
        if found is None or own is None or found.issued_at <= own.issued_at or found.fingerprint != own.fingerprint:
            return
        if _hash(found) != slot.refused_hash and found.is_usable(self._now()):
            slot.token = found

    async def _obtain(self, connection: Connection, slot: _Slot, *, fresh: bool) -> AccessToken:
        credentials = await self._in_thread(partial(load_credentials, connection))
        shelf, client_key = self._shelf, connection.client_key
        if shelf is None:
            return await self._sign_in(connection, slot, credentials)
        if fresh:
            token = await self._sign_in(connection, slot, credentials)
            await shelf.put(client_key, token)
            return token
        deadline_s = time.monotonic() + SHELF_WAIT_S
        while True:
            mark = await shelf.lock(client_key)
            if mark == UNLOCKED:
                return await self._sign_in(connection, slot, credentials)
            # After the lock, not before: whoever held it a moment ago has left its token.
            found = await shelf.read(client_key)
            if found is not None and self._is_wanted(found, slot, credentials):
                await shelf.unlock(client_key, mark or UNLOCKED)
                return found
            if mark is not None or time.monotonic() > deadline_s:
                break
            await asyncio.sleep(_POLL_S * (1 + self._chance.random()))
        try:
            token = await self._sign_in(connection, slot, credentials)
            await shelf.put(client_key, token)
            return token
        finally:
            await shelf.unlock(client_key, mark or UNLOCKED)

    def _is_wanted(self, found: AccessToken, slot: _Slot, credentials: list[Credential]) -> bool:
        now_s = self._now()
        if found.fingerprint not in {credential.fingerprint for credential in credentials}:
            return False
        if _hash(found) == slot.refused_hash or not found.is_usable(now_s):
            return False
        has_own = slot.token is not None and slot.token.is_usable(now_s)
        return not (has_own and found.is_due(now_s))  # when renewing, only a newer one will do

    async def _sign_in(self, connection: Connection, slot: _Slot, credentials: list[Credential]) -> AccessToken:
        """Try the credentials in order; the first refusal is the one that counts."""
        for old in slot.applications.keys() - {credential.fingerprint for credential in credentials}:
            slot.applications.pop(old).close()
        refusal: TokenRefused | None = None
        for credential in credentials:
            application = slot.applications.setdefault(credential.fingerprint, Application(credential, self._timeout_s))
            try:
                token = await self._ask_patiently(connection, application)
                self._tell(connection, "ok")
                return token
            except TokenUnavailable:
                self._tell(connection, "unavailable")
                raise
            except CredentialRefused as error:
                self._tell(connection, "refused")
                refusal = refusal or TokenRefused(error.sentence, code=error.code, fingerprint=error.fingerprint)
            except TokenRefused:
                self._tell(connection, "refused")
                raise
        assert refusal is not None  # there is at least one credential, and each of them was refused
        raise refusal

    def _tell(self, connection: Connection, how: str) -> None:
        if self._heard is not None:
            self._heard(connection, how)

    async def _ask_patiently(self, connection: Connection, application: Application) -> AccessToken:
        """Three tries within 3 s for what passes by itself."""
        started_s = time.monotonic()
        wait_s = 0.0

        def wants_more(state: RetryCallState) -> bool:
            nonlocal wait_s
            error = None if state.outcome is None else state.outcome.exception()
            if not isinstance(error, TokenUnavailable):
                return False
            wait = decide_retry(
                READS,  # to ask for a token twice changes nothing
                fate=Fate.LOST if error.retry_after_s is None else Fate.ANSWERED,
                status=503,
                retry_after_s=error.retry_after_s,
                attempt=state.attempt_number,
                elapsed_s=time.monotonic() - started_s,
                chance=self._chance.random(),
            )
            wait_s = wait or 0.0
            return wait is not None

        retrying = AsyncRetrying(retry=wants_more, wait=lambda _: wait_s, sleep=self._sleep, reraise=True)
        token: AccessToken = await retrying(self._in_thread, partial(application.ask, connection, self._now))
        return token

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        """Run blocking work in threads of our own: the loop's are for DNS, and a hanging sign-in
        must not stop that.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(8, thread_name_prefix="usher-sign-in")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _slot_key(connection: Connection) -> tuple[object, ...]:
    """Two connections share a token only when they would sign in alike."""
    return (
        connection.client_key,
        connection.authority,
        connection.scope,
        connection.ca_file,
        *(_texts(getattr(connection, key)) for key in CREDENTIAL_KEYS),
    )


def _texts(value: object) -> tuple[str, ...]:
    """Return a credential's setting as it was written."""
    each = value if isinstance(value, tuple) else (value,)
    return tuple(one.text if isinstance(one, Reference | AssertionSource) else str(one) for one in each if one)


def _hash(token: AccessToken) -> bytes:
    return hashlib.sha256(token.secret.reveal().encode("utf-8", "surrogatepass")).digest()
