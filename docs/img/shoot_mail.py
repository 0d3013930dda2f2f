"""Shoot docs/img/mail.png: the invitation that usher mails itself, in English and in German. Needs
Debian's chromium and chromium-driver. Run from the repository with the project's Python after
`make setup` and `make .venv/.dev`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
VALUES = {
    "name": "Ada Lovelace",
    "email": "ada@partner.example",
    "link": "https://login.microsoftonline.com/redeem?rd=SAMPLE",
    "organisation": "Contoso",
    "contact": "it@contoso.example",
}
WHY = {
    "": "We build the bridge together: plans and minutes are in our team.",
    "de": "Wir bauen die Brücke gemeinsam: Pläne und Protokolle liegen in unserem Team.",
}
FRAME = '<iframe src="{name}" style="border:0;width:620px;height:600px"></iframe>'


def main() -> None:
    """Render both side by side, and take the picture."""
    from tests.browser import open_browser
    from worker.mail.templates import write

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for language, message in WHY.items():
            words = write("invite", language, {**VALUES, "message": message})
            (folder / f"m{language}.html").write_text(words.html, encoding="utf-8")
        frames = "".join(FRAME.format(name=f"m{language}.html") for language in WHY)
        style = "margin:0;overflow:hidden;display:flex;background:#f3f4f6"
        (folder / "both.html").write_text(f'<body style="{style}">{frames}')
        with open_browser(folder / "profile", "1240,720") as browser:
            browser.get((folder / "both.html").as_uri())
            browser.save_screenshot(str(HERE / "mail.png"))


if __name__ == "__main__":
    main()
