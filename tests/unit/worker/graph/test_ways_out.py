from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.servers import Certificate, Received, answer, make_certificate, run_proxy
from tests.unit.worker.graph.raw_graph import ROWS, TOKEN, batch_answer, graph, no_sleep, target_of
from worker.graph.batch import Fate
from worker.graph.client import GraphClient


async def test_loopback_never_goes_through_a_proxy(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy cannot reach our loopback: the sandbox works behind any."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, batch_answer(request))

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with graph(certificate, behave) as (client, target, _):
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
    assert exchange.answers["0"].status == 201


async def test_public_hosts_go_through_the_proxy(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTPS_PROXY` is honoured, credentials in it included."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, batch_answer(request))

    async with graph(certificate, behave) as (client, _, server), run_proxy(server.port) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:pass@"))
        target = target_of("https://graph.usher.test/v1.0", str(certificate.certificate))
        exchange = await client.send_batch(target, TOKEN, ROWS, priority="low")
    assert exchange.answers["0"].status == 201
    assert asked[0].startswith("CONNECT graph.usher.test:443 HTTP/1.1")
    assert "Proxy-Authorization: Basic dXNlcjpwYXNz" in asked[0]
    assert "authorization: bearer" not in asked[0].lower()


async def test_proxy_that_refuses_means_nothing_sent(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """407 comes from the way, not from Graph."""
    async with run_proxy(None) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        client = GraphClient(5.0, sleep=no_sleep)
        exchange = await client.send_batch(
            target_of("https://graph.usher.test/v1.0", None), TOKEN, ROWS, priority="low"
        )
        await client.close()
    assert exchange.answers["0"].fate is Fate.NOT_SENT
    assert len(asked) == 3


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://127.0.0.1:1", "http://[broken", "nonsense://x"])
async def test_unusable_proxy_means_nothing_sent(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in the variable, it is no exception in the middle of a batch."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    client = GraphClient(5.0, sleep=no_sleep)
    exchange = await client.send_batch(target_of("https://graph.usher.test/v1.0", None), TOKEN, ROWS, priority="low")
    await client.close()
    assert exchange.answers["0"].fate is Fate.NOT_SENT


async def test_changed_ca_file_counts_without_a_restart(certificate: Certificate, tmp_path: Path) -> None:
    """A renewed bundle is read again."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200, batch_answer(request))

    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(make_certificate(tmp_path, "other.test").certificate.read_bytes())
    async with graph(certificate, behave) as (client, target, _):
        target = target_of(target.graph_url, str(bundle))
        assert (await client.send_batch(target, TOKEN, ROWS, priority="low", deadline_s=1)).status == 0
        bundle.write_bytes(certificate.certificate.read_bytes())
        assert (await client.send_batch(target, TOKEN, ROWS, priority="low", deadline_s=5)).status == 200
