"""Shoot docs/img/console-*.png: the pages of the console, on the sandbox. Needs Debian's chromium
and chromium-driver. Run from the repository with the project's Python after `make setup` and
`make .venv/.dev`. A folder as an argument takes them all, in both languages and themes and as wide
as a phone, to be looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
WIDE, PHONE = 1200, 390
LIST = (
    "Name;E-Mail;Firma;Abteilung\r\n"
    "Zoë Müller;zoe.mueller@partner.example;Partner GmbH;Einkauf\r\n"
    "Björn Ek;bjorn@supplier.example;Supplier AB;\r\n"
    "Niemand;keine Adresse;;\r\n"
    "Linus Known;linus@partner.example;Partner GmbH;\r\n"
    "Jörg Ähle;joerg@kunde.example;Kunde AG;Technik\r\n"
    "Jörg Ähle;joerg@kunde.example;Kunde AG;Technik\r\n"
    "Élodie Petit;elodie@client.example;Client SA;\r\n"
)
_READY = re.compile(r"usher is at (http://\S+) ")


def main() -> None:
    """Serve the console in a folder of its own, go through it as a reader does, take pictures."""
    from tests.browser import open_browser

    with tempfile.TemporaryDirectory(prefix="shot-", dir="/tmp") as name, _serve(Path(name)) as url:
        file = Path(name) / "gäste.csv"
        file.write_bytes(LIST.encode("cp1252"))
        with open_browser(Path(name) / "profile", f"{WIDE},900") as browser:
            camera = _Camera(browser, url)
            pages = camera.go_through(file)
            if len(sys.argv) > 1:
                camera.shoot_all(pages, Path(sys.argv[1]))
                return
            for page, path in pages.items():
                camera.shoot(path, HERE / f"console-{page}.png")
            camera.shoot(pages["list"], HERE / "console-phone.png", language="de", width=PHONE)
            camera.shoot(pages["job"], HERE / "console-dark.png", theme="dark", language="de")


@contextmanager
def _serve(folder: Path) -> Iterator[str]:
    (folder / "usher.toml").write_text(
        '[schedules.check]\ntask = "check_connections"\ncron = "0 6 * * *"\n', encoding="utf-8"
    )
    env = {**os.environ, "USHER_STATE_DIR": f"{folder}/state", "HOME": str(folder), "USHER_ACTOR": "Ada Lovelace"}
    env |= {"USHER_CONFIG": str(folder / "usher.toml")}
    usher, log = str(Path(sys.executable).parent / "usher"), folder / "serve.log"
    with log.open("wb") as out:
        serving = subprocess.Popen([usher, "serve", "--port", "0"], env=env, cwd=folder, stdout=out, stderr=out)
        try:
            _wait(lambda: _READY.search(log.read_text()))
            found = _READY.search(log.read_text())
            assert found is not None
            yield found[1]
        finally:
            serving.terminate()
            serving.wait(60)


class _Camera:
    def __init__(self, browser: Any, url: str) -> None:
        self._browser = browser
        self._url = url

    def go_through(self, file: Path) -> dict[str, str]:
        """Send a list as a reader does, hold the connection and let it go; return the addresses of
        the pages, by name.
        """
        pages = {"invite": "/invite"}
        self._open("/invite")
        self._find("#list").send_keys(str(file))
        self._find("#read")
        pages["list"] = self._path()
        self._press("Look what would happen")
        self._find("#would")
        pages["look"] = self._path()
        self._open(f"{pages['list']}/look")
        self._press("Send ")
        self._find("#job")
        pages["job"] = self._path()
        _wait(lambda: "done" in self._find("#job h2").text)
        self._open("/invite")
        self._find("#list").send_keys(str(file))
        self._find("#read")
        pages["list"] = self._path()
        self._press("Look what would happen")
        self._find("#would")
        pages["look"] = self._path()
        self._open("/connections")
        self._press("Check sandbox")
        self._find("[role=status]")
        more = ("jobs", "connections", "schedules", "audit")
        return pages | {name: f"/{name}" for name in more} | {"guests": "/guests?connection=sandbox"}

    def shoot_all(self, pages: dict[str, str], folder: Path) -> None:
        """Take every page in both languages and themes, and as wide as a phone."""
        folder.mkdir(parents=True, exist_ok=True)
        for page, path in (pages | {"nothing": "/nothing"}).items():
            for language in ("en", "de"):
                for theme in ("light", "dark"):
                    self.shoot(path, folder / f"{page}-{language}-{theme}.png", language=language, theme=theme)
            self.shoot(path, folder / f"{page}-phone.png", language="de", width=PHONE)

    def shoot(self, path: str, to: Path, *, language: str = "en", theme: str = "light", width: int = WIDE) -> None:
        """Take one page as a whole."""
        browser = self._browser
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        )
        browser.add_cookie({"name": "usher_language", "value": language, "path": "/"})
        size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width == PHONE}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self._open(path)
        size["height"] = max(500, browser.execute_script("return document.documentElement.scrollHeight"))
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.save_screenshot(str(to))

    def _open(self, path: str) -> None:
        self._browser.get(self._url + path)

    def _path(self) -> str:
        return str(self._browser.current_url).removeprefix(self._url)

    def _find(self, selector: str) -> Any:
        return _wait(lambda: self._browser.find_elements("css selector", selector))[0]

    def _press(self, words: str) -> None:
        def look() -> list[Any]:
            found = self._browser.find_elements("css selector", "button, a")
            return [one for one in found if one.text.startswith(words)]

        _wait(look)[0].click()


def _wait(look: Callable[[], Any], within_s: float = 60) -> Any:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if found := look():
            return found
        time.sleep(0.1)
    raise SystemExit("It took too long; nothing was shot.")


if __name__ == "__main__":
    main()
