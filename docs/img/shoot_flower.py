"""Shoot docs/img/flower-tasks.png and flower-chunk.png: Flower while a job of 2,000 rows runs on
the sandbox. Needs Debian's chromium and chromium-driver. Run from the repository with the project's
Python after `make setup` and `make .venv/.dev`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
ROWS = 2000


def main() -> None:
    """Run `usher up` in a folder of its own, send a list, and take the pictures."""
    from tests.browser import open_browser

    with tempfile.TemporaryDirectory(prefix="shot-", dir="/tmp") as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
        free.close()
        env = {**os.environ, "USHER_STATE_DIR": f"{folder}/state", "FLOWER_PORT": str(port), "HOME": name}
        usher = str(Path(sys.executable).parent / "usher")
        (folder / "list.csv").write_text("email\n" + "".join(f"g{n}@partner{n % 7}.example\n" for n in range(ROWS)))
        with (folder / "up.log").open("wb") as log:
            up = subprocess.Popen([usher, "up"], env=env, cwd=folder, stdout=log, stderr=log)
            try:
                _wait(lambda: _workers(port))
                sent = subprocess.run(
                    [usher, "invite", "list.csv", "-c", "sandbox", "--yes", "--detach", "--json"],
                    env=env,
                    cwd=folder,
                    check=False,  # 3: it was left running
                    capture_output=True,
                    text=True,
                )
                job = json.loads(sent.stdout.splitlines()[-1])["job"]
                _slow_down(folder / "state" / "sandbox.json")
                with open_browser(folder / "profile", "1760,960") as browser:
                    _shoot(browser, f"http://127.0.0.1:{port}", job)
            finally:
                up.terminate()
                up.wait(60)


def _shoot(browser: Any, url: str, job: str) -> None:
    from selenium.webdriver.common.by import By

    def rows() -> list[str]:
        browser.get(f"{url}/tasks")
        time.sleep(1)
        return [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#tasks-table tbody tr")]

    def shown() -> bool:
        now = rows()
        return any("STARTED" in row for row in now) and sum("invited" in row for row in now) >= 6

    _wait(shown, 60)
    browser.save_screenshot(str(HERE / "flower-tasks.png"))
    uuid = next(
        task["uuid"]
        for task in json.loads(_get(browser, f"{url}/tasks/datatable?draw=1&start=0&length=100&order[0][column]=0"))[
            "data"
        ]
        if f"job {job}" in task["args"] and task["state"] == "SUCCESS"
    )
    browser.get(f"{url}/task/{uuid}")
    time.sleep(1)
    browser.save_screenshot(str(HERE / "flower-chunk.png"))


def _slow_down(ready: Path) -> None:
    """Let the sandbox take its time, as Graph does."""
    told = json.loads(ready.read_text())
    body, kind = json.dumps({"latency": "0.6"}).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{told['control_url']}/latency", body, kind)  # noqa: S310
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=told["ca_file"])):  # noqa: S310
        pass


def _get(browser: Any, url: str) -> str:
    browser.get(url)
    return re.sub(r"<[^>]*>", "", browser.page_source).replace("&gt;", ">")


def _workers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers?json=1", timeout=5) as answer:
            return any(worker["status"] for worker in json.loads(answer.read())["data"])
    except OSError:
        return False


def _wait(look: Any, within_s: float = 40) -> None:
    deadline_s = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline_s:
            raise SystemExit("it took too long")
        time.sleep(0.3)


if __name__ == "__main__":
    main()
