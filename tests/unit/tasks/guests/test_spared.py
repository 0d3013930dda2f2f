"""A file of those who are spared is read, or nothing is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Refusal
from tasks.guests.clean.spared import read_whom_to_spare
from tests.configs import build_connection
from tests.unit.worker.operations.asking import Asking, found


async def read(path: Path) -> Any:
    """Read whom a connection spares by a file."""
    spared, guard = await read_whom_to_spare(
        Asking(lambda request: found()), build_connection(clean={"spare_addresses": f"file:{path}"})
    )
    assert not guard.unread
    return spared.addresses


@pytest.mark.parametrize(
    "text",
    [
        "Ann@Partner.example\nbo@bücher.example\n",
        "email\nann@partner.example\nbo@bücher.example\n",
        "display_name,email\nAnn,ann@partner.example\nBo,bo@bücher.example",
        "\ufeffann@partner.example\r\n\r\nbo@bücher.example",
    ],
)
async def test_an_address_a_line_will_do_as_a_list_does(tmp_path: Path, text: str) -> None:
    """Folded, as guests are."""
    path = tmp_path / "spared.csv"
    path.write_text(text, encoding="utf-8")
    assert await read(path) == {"ann@partner.example", "bo@xn--bcher-kva.example"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("name\nAnn\n", "clean.spare_addresses"),
        ("ann@partner.example\nnonsense\n", "line 2: email"),
        (None, "does not exist"),
    ],
)
async def test_a_file_that_cannot_be_read_stops_all(tmp_path: Path, text: str | None, words: str) -> None:
    """With a sentence that names the setting."""
    path = tmp_path / "spared.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match=r"connections\.c\.clean\.spare_addresses; nothing was done") as caught:
        await read(path)
    assert words in str(caught.value)
