"""Fixtures of the console's tests: a console that people sign in to, by the sandbox; one that a
reader goes through in a real browser.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.reader import load_settings
from sandbox.certificates import ServerFiles, make_server_files
from tests.browser import open_browser
from tests.integration.console.entra_browsers import EntraBrowser
from tests.integration.console.readers import Reader, run_pages
from tests.integration.console.servers import build_access_app, serving
from tests.ledgers import Desk
from tests.sandboxes import Sandbox, Sandboxes, connection_table
from tests.ushers import Usher, run_usher
from worker.services import Services, open_services


@dataclass
class SignInSite:
    """A console with a sign-in, over TLS as behind a proxy; several instances of it, if need be."""

    url: str
    config: Path
    ca_file: Path
    sandbox: Sandbox
    services: Services
    tls: ServerFiles
    app: Any
    browsers: list[EntraBrowser] = field(default_factory=list)

    @property
    def entra_context(self) -> ssl.SSLContext:
        """What trusts the sandbox."""
        return ssl.create_default_context(cafile=self.sandbox.ready["ca_file"])

    def browser(self) -> EntraBrowser:
        """Return a new browser of somebody."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        browser = EntraBrowser(httpx.AsyncClient(base_url=self.url, verify=context, timeout=60), self.sandbox)
        self.browsers.append(browser)
        return browser

    async def close_browsers(self) -> None:
        """Close them before their server ends: over TLS it would wait for each of them."""
        while self.browsers:
            await self.browsers.pop().close()

    def mint(self, **body: Any) -> str:
        """Have the sandbox make a token."""
        return str(self.sandbox.ask("signin", {"action": "mint", **body})["token"])


@pytest.fixture
async def signing(desk: Desk, valkey_url: str, sandboxes: Sandboxes) -> AsyncIterator[SignInSite]:
    """A console that people sign in to."""
    sandbox = sandboxes.get(("--quota", "off"))
    sandbox.ask("reset", {})
    folder = Path(tempfile.mkdtemp(prefix="si-", dir="/tmp"))
    tls = make_server_files(folder, ())
    ready = sandbox.ready["console"]
    (folder / "key").write_text(secrets.token_hex(32))
    config = folder / "usher.toml"
    with socket.create_server(("127.0.0.1", 0)) as opened:
        config.write_text(
            f'[redis]\nurl = "{valkey_url}"\n[ledger]\nkey = "file:key"\nprefix = "{desk.keys.prefix}"\n'
            f'[console]\ntenant_id = "{ready["tenant_id"]}"\nclient_id = "{ready["client_id"]}"\n'
            f'client_secret = "file:{ready["client_secret_file"]}"\nauthority = "{ready["authority"]}"\n'
            f'ca_file = "{sandbox.ready["ca_file"]}"\npublic_url = "https://127.0.0.1:{opened.getsockname()[1]}"\n'
        )
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, folder)
            services = await stack.enter_async_context(open_services(lambda: load_settings({}, config), valkey_url))
            app = build_access_app(services.settings, services)
            url = await stack.enter_async_context(serving(app, opened, tls))
            site = SignInSite(url, config, tls.ca_file, sandbox, services, tls, app)
            stack.push_async_callback(site.close_browsers)
            yield site


@pytest.fixture(scope="module")
def pages_usher(folder: Path) -> Iterator[Usher]:
    """A whole usher, where tests have jobs of their own; one of its connections requires
    approval.
    """

    def tables(ready: dict[str, Any]) -> str:
        return connection_table("contoso", ready) + connection_table("strict", ready, require_approval="true")

    options = ("--quota", "off", "--latency", "0.02", "--replication", "0")
    with run_usher(folder, sandbox_options=options, tables=tables) as usher:
        yield usher


@pytest.fixture(scope="module")
def opened(pages_usher: Usher, folder: Path) -> Iterator[Reader]:
    """One browser and one console for all tests of a file."""
    with run_pages(pages_usher, USHER_ACTOR="Ada") as url, open_browser(folder / "chromium", "1200,1000") as driver:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        yield Reader(driver, url)


@pytest.fixture
def reader(opened: Reader) -> Reader:
    """A reader who begins anew."""
    opened.driver.switch_to.new_window("tab")
    opened.open("/")
    opened.driver.delete_all_cookies()
    opened.refused()
    return opened
