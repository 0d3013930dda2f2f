"""A list at an https address is fetched into a nameless file: bounded in time and size, by the
environment's proxies, no redirects.

A redirect would take what stands in the address (a signature, say) to wherever it points. Messages
name host and path, never the query.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tasks.errors import InputError
from worker.net import tls

LARGEST_BYTES = 256 * 1024 * 1024
"""Of a list after decompression: some three million rows."""
WITHIN_S = 600.0
_CONNECT_S = 15.0
_SILENT_S = 60.0
_TRIES = 3
_PAUSE_S = 5.0


async def fetch(url: str) -> IO[bytes]:
    """Return the list as an open file, to be closed by the caller. Raises `InputError` with a
    sentence, `WayOutUnusable`.
    """
    for left in reversed(range(_TRIES)):
        file = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - handed to the caller
        try:
            await asyncio.wait_for(_fetch_into(file, url), WITHIN_S)
            file.seek(0)
            return file
        except _Passes as error:
            file.close()
            if not left:
                raise InputError(f"{show_url(url)} cannot be fetched: {error}.") from None
        except TimeoutError:
            file.close()
            raise InputError(
                f"{show_url(url)} cannot be fetched: it takes longer than {WITHIN_S / 60:.0f} minutes."
            ) from None
        except BaseException:
            file.close()
            raise
        await asyncio.sleep(_PAUSE_S)
    raise AssertionError


def show_url(url: str) -> str:
    """Return an address as it may be shown."""
    parts = urlsplit(url)
    return f"https://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Passes(Exception):
    """A fault that may have passed at the next try."""


async def _fetch_into(file: IO[bytes], url: str) -> None:
    context = await asyncio.to_thread(tls.build_context)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False, headers={"Accept": "text/csv, */*"}) as session,
            session.get(
                URL(url, encoded=True), proxy=tls.find_proxy(url), ssl=context, allow_redirects=False
            ) as answer,
        ):
            _check_status(answer.status, url)
            size = 0
            async for part in answer.content.iter_chunked(1 << 16):
                size += len(part)
                if size > LARGEST_BYTES:
                    raise InputError(
                        f"{show_url(url)} is larger than {LARGEST_BYTES >> 20} MiB, which is no list of guests."
                    )
                await asyncio.to_thread(file.write, part)
    except aiohttp.ClientConnectorCertificateError:
        raise InputError(
            f"{show_url(url)} cannot be fetched: its certificate is not trusted here; add its authority to"
            " SSL_CERT_FILE."
        ) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _Passes(_reason(error)) from None


def _check_status(status: int, url: str) -> None:
    if status == 200:
        return
    if status in (301, 302, 303, 307, 308):
        raise InputError(f"{show_url(url)} sends on to another address, which usher does not follow: name that one.")
    if status == 429 or status >= 500:
        raise _Passes(f"the server answers {status}")
    raise InputError(f"{show_url(url)} cannot be fetched: the server answers {status}.")


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "the server cannot be reached"
    return "the connection broke"
