from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.servers import Certificate, Received, answer, listen, run_raw_server
from tests.unit.worker.graph.raw_graph import ROWS, TOKEN, batch_answer, graph, no_sleep, target_of
from worker.graph.batch import NOTE_STALE, NOTE_WHOLE_BATCH, Fate, GraphRequest
from worker.graph.client import GraphClient
from worker.graph.reply import LARGEST_ANSWER_BYTES
from worker.graph.retry import WHERE_BLIND


async def test_batch_carries_what_graph_and_support_need(certificate: Certificate) -> None:
    """Token, priority and a request id of our own are on every call; the answers find their
    rows.
    """

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, batch_answer(request), {"request-id": "envelope"})

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
    request = server.received[0]
    assert (request.method, request.path) == ("POST", "/v1.0/$batch")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["x-ms-throttle-priority"] == "low"
    assert request.headers["client-request-id"] == exchange.client_request_id
    assert request.headers["return-client-request-id"] == "true"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("usher/")
    assert request.headers["content-type"] == "application/json"
    assert {i: a.body["n"] for i, a in exchange.answers.items()} == {"0": "0", "1": "1", "2": "2"}
    assert exchange.answers["0"].headers["request-id"] == "envelope"
    assert exchange.server_date is not None
    assert exchange.server_date.isoformat() == "2026-11-23T10:00:00+00:00"
    assert (exchange.status, exchange.tries) == (200, 1)


async def test_plain_call_keeps_its_path_and_headers(certificate: Certificate) -> None:
    """An encoded filter arrives as it was written."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, {"value": []})

    path = "/users?$filter=mail%20eq%20'a%2Bb@example.com'&$count=true"
    async with graph(certificate, behave) as (client, target, server):
        request = GraphRequest("r", "GET", path, headers={"ConsistencyLevel": "eventual"})
        exchange = await client.send_one(target, TOKEN, request, priority="high")
    assert server.received[0].path == f"/v1.0{path}"
    assert server.received[0].headers["consistencylevel"] == "eventual"
    assert exchange.answers["r"].body == {"value": []}


async def test_nobody_there_means_nothing_sent(certificate: Certificate) -> None:
    """A refused connection is tried three times and is then no doubt at all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = GraphClient(5.0, sleep=no_sleep)
    exchange = await client.send_batch(target_of(f"https://127.0.0.1:{port}/v1.0", None), TOKEN, ROWS, priority="low")
    await client.close()
    assert {a.fate for a in exchange.answers.values()} == {Fate.NOT_SENT}
    assert exchange.tries == 3
    assert exchange.status == 0


async def test_untrusted_server_gets_nothing(certificate: Certificate) -> None:
    """A certificate that nobody vouches for ends the call before the token leaves."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, {})

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target_of(target.graph_url, None), TOKEN, ROWS, priority="low", deadline_s=1)
        missing = await client.send_batch(target_of(target.graph_url, "/no/such.pem"), TOKEN, ROWS, priority="low")
    assert exchange.answers["0"].fate is Fate.NOT_SENT
    assert "Certificate" in exchange.answers["0"].note
    assert missing.answers["0"].fate is Fate.NOT_SENT
    assert missing.answers["0"].note.startswith("ca_file names /no/such.pem")
    assert server.received == []


async def test_handshake_that_never_ends_means_nothing_sent() -> None:
    """A time limit before the first byte is no doubt."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    client = GraphClient()
    async with listen(mute, None) as port:
        target = target_of(f"https://127.0.0.1:{port}/v1.0", None)
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low", deadline_s=0.3)
        await client.close()
    assert exchange.answers["0"].fate is Fate.NOT_SENT


async def _reset(request: Received, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _hang(request: Received, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def _truncate(request: Received, writer: asyncio.StreamWriter) -> None:
    answer(writer, 200, b'{"responses": [', length=500)
    await writer.drain()
    writer.close()


async def _truncate_chunks(request: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"res\r\n')
    await writer.drain()
    writer.close()


async def _half_a_head(request: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 O")
    await writer.drain()
    writer.close()


async def _no_http(request: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 what?\r\n\r\n")


async def _html(request: Received, writer: asyncio.StreamWriter) -> None:
    answer(writer, 200, b"<html>sign in</html>", {"Content-Type": "text/html"})


async def _empty(request: Received, writer: asyncio.StreamWriter) -> None:
    answer(writer, 200)


async def _bad_gzip(request: Received, writer: asyncio.StreamWriter) -> None:
    answer(writer, 200, b"this is no gzip", {"Content-Encoding": "gzip"})


async def _flood(request: Received, writer: asyncio.StreamWriter) -> None:
    answer(writer, 200, b" " * (LARGEST_ANSWER_BYTES + 1))


@pytest.mark.parametrize(
    "behave", [_reset, _hang, _truncate, _truncate_chunks, _half_a_head, _no_http, _html, _empty, _bad_gzip, _flood]
)
async def test_anything_but_a_whole_answer_is_lost(certificate: Certificate, behave: Any) -> None:
    """Once the request has left, only a whole answer settles it, and it is never sent a second
    time.
    """
    async with graph(certificate, behave) as (client, target, server):
        limit_s = 1.0 if behave is _hang else 10.0
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low", deadline_s=limit_s)
        assert {a.fate for a in exchange.answers.values()} == {Fate.LOST}
        assert exchange.answers["0"].note
        assert len(server.received) == 1
        assert exchange.client_request_id == server.received[0].headers["client-request-id"]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503])
async def test_refusal_in_html_still_counts_by_its_status(certificate: Certificate, status: int) -> None:
    """A gateway's page says nothing but its status, and that is enough; twenty rows share it."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, status, b"<html>no</html>", {"Retry-After": "30"}, length=500)
        await writer.drain()
        writer.close()

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
    one = exchange.answers["1"]
    assert (one.fate, one.status, one.body, one.note) == (Fate.ANSWERED, status, None, NOTE_WHOLE_BATCH)
    assert one.headers["retry-after"] == "30"
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [202, 204])
async def test_a_success_without_a_body_is_an_answer(certificate: Certificate, status: int) -> None:
    """A write that has nothing to say is done."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, status)

    async with graph(certificate, behave) as (client, target, _):
        exchange = await client.send_one(target, TOKEN, GraphRequest("1", "PATCH", "/users/x", {}), priority="low")
    assert (exchange.answers["1"].fate, exchange.answers["1"].status) == (Fate.ANSWERED, status)


async def test_short_throttle_is_waited_out(certificate: Certificate) -> None:
    """A Retry-After that fits is nobody else's business; each try has an id of its own."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        if len(server.received) == 1:
            answer(writer, 429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": "0"})
        else:
            answer(writer, 200, batch_answer(request))

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
        assert exchange.tries == 2
        assert {a.status for a in exchange.answers.values()} == {201}
        assert len({r.headers["client-request-id"] for r in server.received}) == 2


@pytest.mark.parametrize(("headers", "status"), [({"Retry-After": "10"}, 429), ({}, 429), ({"Retry-After": "0"}, 503)])
async def test_longer_throttle_and_503_go_back_to_the_caller(
    certificate: Certificate, headers: dict[str, str], status: int
) -> None:
    """Long waits close the gate; after a 503 the ledger looks first."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, status, {}, headers)

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
        assert exchange.answers["0"].status == status
        assert len(server.received) == 1


async def test_503_is_repeated_where_nothing_can_be_looked_up(certificate: Certificate) -> None:
    """A connection that may not read users takes Graph's word for it."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 503, {}, {"Retry-After": "0"})

    async with graph(certificate, behave) as (client, target, server):
        await client.send_batch(target, TOKEN, ROWS, priority="low", retry=WHERE_BLIND)
        assert len(server.received) == 3


async def test_lost_read_is_asked_again(certificate: Certificate) -> None:
    """Reading twice changes nothing."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        if len(server.received) == 1:
            writer.transport.abort()
        else:
            answer(writer, 200, {"value": []})

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_one(target, TOKEN, GraphRequest("r", "GET", "/organization"), priority="low")
    assert exchange.answers["r"].status == 200


async def test_stale_mark_keeps_everything_back(certificate: Certificate) -> None:
    """When the caller says no in the last moment, not a byte leaves."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, batch_answer(request))

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low", before_send=lambda: False)
        assert {(a.fate, a.note) for a in exchange.answers.values()} == {(Fate.NOT_SENT, NOTE_STALE)}
        assert server.received == []
        again = await client.send_batch(target, TOKEN, ROWS, priority="low", before_send=lambda: True)
        assert {a.fate for a in again.answers.values()} == {Fate.ANSWERED}


async def test_mark_that_went_stale_while_waiting_keeps_the_throttle(certificate: Certificate) -> None:
    """The 429 that made us wait is what the gate needs to hear of."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 429, {}, {"Retry-After": "0"})

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low", before_send=lambda: not server.received)
        assert exchange.answers["0"].status == 429
        assert len(server.received) == 1


async def test_redirects_and_cookies_are_left_alone(certificate: Certificate) -> None:
    """The token goes to the configured host only, and no answer leaves anything behind."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 307, b"", {"Location": "https://localhost:1/", "Set-Cookie": "a=b"})

    async with graph(certificate, behave) as (client, target, server):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
        await client.send_batch(target, TOKEN, ROWS, priority="low")
    assert exchange.answers["0"].status == 307
    assert all("cookie" not in r.headers for r in server.received)


async def test_connections_are_kept(certificate: Certificate) -> None:
    """Twenty calls in a row need one handshake."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, batch_answer(request))

    async with graph(certificate, behave) as (client, target, server):
        for _ in range(20):
            await client.send_batch(target, TOKEN, ROWS, priority="low")
    assert server.connections == 1


async def test_cancelling_goes_through(certificate: Certificate) -> None:
    """A time box that ends is not network trouble."""
    async with graph(certificate, _hang) as (client, target, server):
        task = asyncio.create_task(client.send_batch(target, TOKEN, ROWS, priority="low"))
        await server.heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_full_pool_means_nothing_sent(certificate: Certificate) -> None:
    """Waiting for a connection until the time is up leaves no doubt."""
    client = GraphClient(5.0, limit_per_host=1)
    async with run_raw_server(certificate, _hang) as server:
        target = target_of(f"{server.url}/v1.0", str(certificate.certificate))
        first = asyncio.create_task(client.send_batch(target, TOKEN, ROWS, priority="low", deadline_s=1.0))
        await server.heard.wait()
        second = await client.send_batch(target, TOKEN, ROWS, priority="low", deadline_s=0.3)
        assert second.answers["0"].fate is Fate.NOT_SENT
        assert (await first).answers["0"].fate is Fate.LOST
        await client.close()
