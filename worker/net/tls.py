"""usher trusts the same hosts and goes out the same way with aiohttp (Graph) and with requests
(sign-in through MSAL).

The two libraries read different variables and different root lists, so one of them may work where
the other fails. Here both get a context of the same making: the system's roots, plus what
`SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE` name, plus the
connection's `ca_file`; each adds, none replaces. Proxies come from `HTTPS_PROXY` and `NO_PROXY`;
loopback never goes through one, for a proxy cannot reach our loopback.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.values import is_loopback
from worker.errors import ProxyUnusable, TrustUnusable

if TYPE_CHECKING:
    import requests

_MACHINE = "169.254.169.254"  # link-local: a proxy would ask about itself
_FILE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Files, or for the last two also folders, that curl, requests and OpenSSL read."""


def build_context(ca_file: str | None = None, env: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return a client context that verifies host names against every source of trust.

    Blocking: reads the files. Raises `TrustUnusable` with a sentence for a `ca_file`,
    `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` that cannot be read; a missing `SSL_CERT_FILE` is
    passed over, as OpenSSL does.
    """
    paths = ssl.get_default_verify_paths()
    # Given a folder it reads no file by itself; a bundle takes 20 ms, so each is read once below
    context = ssl.create_default_context(capath=paths.openssl_capath)
    read = _load_system_roots(context, paths, env)
    named = [(name, env.get(name, "")) for name in _FILE_VARIABLES]
    for name, path in [*named, ("ca_file", ca_file or "")]:
        if not path or Path(path).resolve() in read or (name == "SSL_CERT_FILE" and not Path(path).exists()):
            continue
        _load(context, path, name)
        read.add(Path(path).resolve())
    for folder in env.get("SSL_CERT_DIR", "").split(os.pathsep):
        if folder and Path(folder).is_dir():
            context.load_verify_locations(capath=folder)
    return context


def trust_stamp(ca_file: str | None, env: Mapping[str, str] = os.environ) -> tuple[object, ...]:
    """Return a value that changes when `build_context` would give another context: paths and times
    of the files.
    """
    paths = [ca_file or "", *(env.get(name, "") for name in _FILE_VARIABLES), env.get("SSL_CERT_DIR", "")]
    return tuple((path, _changed_at(path)) for path in paths)


def find_proxy(url: str) -> str | None:
    """Return the proxy for `url` by the environment's rules, as requests reads them; None to go
    directly.

    Loopback, and the address where a machine in Azure asks about itself, never go through one.
    Raises `ProxyUnusable` for an address that is no http or https
    proxy's (neither library speaks SOCKS without more packages).
    https://requests.readthedocs.io/en/latest/user/advanced/#proxies
    """
    host = urlsplit(url).hostname or ""
    if is_loopback(host) or host == _MACHINE:
        return None
    from requests.utils import get_environ_proxies, select_proxy  # 100 ms of imports

    proxy = select_proxy(url, get_environ_proxies(url))
    return _check_proxy(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _check_proxy(proxy: str) -> str:
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a broken bracket or port
        usable = False
    if not usable:
        raise ProxyUnusable
    return proxy


def open_session(ca_file: str | None = None, *, timeout_s: float = 10.0) -> requests.Session:
    """Return a requests session for MSAL: our trust, our proxies, a time limit on every call, no
    redirects, no netrc.

    A redirect would carry the client's credential to wherever it points. Raises `TrustUnusable` as
    `build_context` does.
    """
    return _make_session(shared_context(ca_file), timeout_s)


_lock = threading.Lock()
_shared: dict[tuple[object, ...], ssl.SSLContext] = {}
_MOST_SHARED = 16


def shared_context(ca_file: str | None) -> ssl.SSLContext:
    """Return one context for all who trust the same: reading the system's roots takes 20 ms, and a
    hundred tenants sign in at once.
    """
    stamp = trust_stamp(ca_file)
    with _lock:
        context = _shared.get(stamp)
        if context is None:
            while len(_shared) >= _MOST_SHARED:
                del _shared[next(iter(_shared))]
            context = _shared[stamp] = build_context(ca_file)
        return context


def _make_session(context: ssl.SSLContext, timeout_s: float) -> requests.Session:
    import requests  # only where somebody signs in: 100 ms of imports
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Puts our context under every connection, proxied ones included."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=context, **kwargs)

        def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
            # Not `super()`: it would name a bundle of its own, which urllib3 then adds to the
            # shared context.
            conn.cert_reqs = "CERT_REQUIRED"

    class Session(requests.Session):
        """A session with the project's rules for going out."""

        def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
            proxy = find_proxy(str(url))
            kwargs.setdefault("timeout", timeout_s)
            kwargs["allow_redirects"] = False
            kwargs["proxies"] = {"http": proxy, "https": proxy} if proxy else {}
            return super().request(method, url, *args, **kwargs)

    session = Session()
    session.trust_env = False  # else ~/.netrc is sent, and REQUESTS_CA_BUNDLE replaces our trust
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    return session


def _load(context: ssl.SSLContext, path: str, name: str) -> None:
    try:
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise TrustUnusable(f"{name} names {path}, which holds no certificates in PEM form.") from None
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise TrustUnusable(f"{name} names {path}, which cannot be used: {reason}.") from None


def _load_system_roots(context: ssl.SSLContext, paths: ssl.DefaultVerifyPaths, env: Mapping[str, str]) -> set[Path]:
    """Add the system's own roots, or certifi's where neither the system nor `SSL_CERT_FILE` has
    any; returns the file that was read, if there is one.
    """
    # A broken bundle is none: the other sources may do, and the handshake says what is missing
    with suppress(ssl.SSLError, OSError):
        context.load_verify_locations(cafile=paths.openssl_cafile)
        return {Path(paths.openssl_cafile).resolve()}
    folder = Path(paths.openssl_capath)
    if not (folder.is_dir() and any(folder.iterdir())) and not Path(env.get("SSL_CERT_FILE", "")).is_file():
        # comes with requests; python.org's builds for macOS and bare containers have no roots of
        # their own
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    return set()


def _changed_at(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns if path else 0
    except OSError:
        return 0
