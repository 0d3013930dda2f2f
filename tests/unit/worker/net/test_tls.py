from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.servers import make_certificate
from worker.errors import ProxyUnusable, TrustUnusable
from worker.net.tls import build_context, find_proxy, trust_stamp

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        ("https://graph.microsoft.com/v1.0", {}, None),
        ("https://graph.microsoft.com/v1.0", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://graph.microsoft.com/v1.0", {"https_proxy": "proxy.example:3128"}, PROXY),
        ("https://graph.microsoft.com/v1.0", {"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ("https://graph.microsoft.com/v1.0", {"ALL_PROXY": PROXY}, PROXY),
        ("https://graph.microsoft.com/v1.0", {"HTTP_PROXY": PROXY}, None),
        ("https://localhost:8443/", {"HTTPS_PROXY": PROXY}, None),
        ("https://LOCALHOST/", {"HTTPS_PROXY": PROXY}, None),
        ("https://127.0.0.1/", {"HTTPS_PROXY": PROXY}, None),
        ("https://127.9.9.9/", {"HTTPS_PROXY": PROXY}, None),
        ("https://[::1]:8443/", {"HTTPS_PROXY": PROXY}, None),
        ("https://localhost.example/", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://graph.example/", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("https://graph.example/", {"HTTPS_PROXY": PROXY, "NO_PROXY": "other, graph.example"}, None),
        ("https://graph.example/", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example"}, None),
        ("https://graph.example/", {"HTTPS_PROXY": PROXY, "NO_PROXY": "aph.example"}, PROXY),
        ("https://graph.example:444/", {"HTTPS_PROXY": PROXY, "NO_PROXY": "graph.example:444"}, None),
        ("https://graph.example/", {"HTTPS_PROXY": PROXY, "NO_PROXY": "graph.example:444"}, PROXY),
        ("https://10.1.2.3/", {"HTTPS_PROXY": PROXY, "no_proxy": "10.0.0.0/8"}, None),
        ("https://11.1.2.3/", {"HTTPS_PROXY": PROXY, "no_proxy": "10.0.0.0/8,nonsense/99"}, PROXY),
        ("https://[fd00::1]/", {"HTTPS_PROXY": PROXY, "no_proxy": "fd00::1"}, None),
    ],
)
def test_which_way_out(url: str, env: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's rules, the same for both libraries, loopback always direct."""
    _use(monkeypatch, env)
    assert find_proxy(url) == proxy


def _use(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    """Take the proxies' variables of this machine away, and set others."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("proxy", ["socks5://p:1", "http://", "http://[broken", "http://p:port"])
def test_proxy_that_is_none(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the variable is one sentence."""
    _use(monkeypatch, {"HTTPS_PROXY": proxy})
    with pytest.raises(ProxyUnusable, match="HTTPS_PROXY"):
        find_proxy("https://graph.example")


def _trusted(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


def test_every_source_adds_trust_and_none_replaces(tmp_path: Path) -> None:
    """What one variable names does not take away what another one, or the system, trusts."""
    made = {name: make_certificate(tmp_path, name) for name in ("a.test", "b.test", "c.test", "d.test")}
    env = {
        "SSL_CERT_FILE": str(made["a.test"].certificate),
        "REQUESTS_CA_BUNDLE": str(made["b.test"].certificate),
        "CURL_CA_BUNDLE": str(made["c.test"].certificate),
    }
    plain = _trusted(build_context(None, {}))
    everything = _trusted(build_context(str(made["d.test"].certificate), env))
    assert plain < everything
    assert len(everything - plain) == 4


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_ca_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    """It names the setting and the file."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrustUnusable, match=f"ca_file names {path}"):
        build_context(str(path), {})


def test_missing_ssl_cert_file_is_passed_over() -> None:
    """OpenSSL does so too; requests' own variable is not."""
    build_context(None, {"SSL_CERT_FILE": "/no/such", "SSL_CERT_DIR": "/no/such"})
    with pytest.raises(TrustUnusable, match="REQUESTS_CA_BUNDLE"):
        build_context(None, {"REQUESTS_CA_BUNDLE": "/no/such"})


def test_stamp_follows_the_file(tmp_path: Path) -> None:
    """A renewed bundle makes a new context."""
    path = tmp_path / "ca.pem"
    before = trust_stamp(str(path), {})
    path.write_text("x")
    assert trust_stamp(str(path), {}) != before


def test_a_bundle_that_is_named_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of roots takes 20 ms, and a machine's variables mostly name the system's own."""
    bundle = tmp_path / "bundle.pem"
    bundle.symlink_to(make_certificate(tmp_path, "a.test").certificate)
    read: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def note(self: ssl.SSLContext, cafile: str | None = None, *other: Any, **more: Any) -> None:
        read.extend([cafile] if cafile else [])
        load(self, cafile, *other, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    named = {name: str(bundle) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    build_context(str(bundle.resolve()), named)
    assert read.count(str(bundle)) + read.count(str(bundle.resolve())) == 1
