"""Adding and taking away a reference; and that nothing ever deletes what a reference leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.reader import parse_connection
from worker.graph.batch import GraphRequest, build_batch
from worker.graph.client import GraphClient
from worker.graph.references import build_reference, reference_path, refuse_bare_delete

GUEST, SPONSOR = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
ROOT = Path(__file__).resolve().parents[4]
BARE = [
    f"/users/{GUEST}/sponsors/{SPONSOR}",
    f"/users/{GUEST}/sponsors/{SPONSOR}?$select=id",
    f"/groups/{GUEST}/members/{SPONSOR}",
    f"/groups/{GUEST}/owners/{SPONSOR}/",
]


def test_a_reference_is_added_and_taken_away_by_ref() -> None:
    """Both paths end in /$ref, and the body names the same cloud's Graph."""
    assert reference_path("users", GUEST, "sponsors") == f"/users/{GUEST}/sponsors/$ref"
    assert reference_path("groups", GUEST, "members", SPONSOR) == f"/groups/{GUEST}/members/{SPONSOR}/$ref"
    body = build_reference("https://graph.microsoft.us/v1.0", "users", SPONSOR)
    assert body == {"@odata.id": f"https://graph.microsoft.us/v1.0/users/{SPONSOR}"}


@pytest.mark.parametrize("path", BARE)
async def test_no_sponsor_is_ever_deleted_by_taking_it_away(path: str) -> None:
    """A DELETE without /$ref leaves in no batch and in no call of its own."""
    table = {"tenant_id": GUEST, "client_id": "app", "client_secret": "env:X", "graph_url": "https://127.0.0.1:9"}
    connection = parse_connection("contoso", table)  # nobody listens there, and nobody is asked to
    request = GraphRequest("1", "DELETE", path)
    with pytest.raises(ValueError, match="must end in /"):
        build_batch([request])
    client = GraphClient(5.0)
    for method in ("DELETE", "delete"):
        with pytest.raises(ValueError, match="must end in /"):
            await client.send_one(connection, "token", request._replace(method=method), priority="low")
    await client.close()


def test_what_may_be_deleted_may() -> None:
    """A user, and a reference."""
    refuse_bare_delete("DELETE", f"/users/{GUEST}")
    refuse_bare_delete("DELETE", reference_path("users", GUEST, "sponsors", SPONSOR))
    refuse_bare_delete("GET", f"/users/{GUEST}/sponsors/{SPONSOR}")


@pytest.mark.parametrize("room", ["worker", "tasks", "cli"])
def test_one_place_builds_paths_of_references(room: str) -> None:
    """Nobody else writes /$ref."""
    home = ROOT / "worker/graph/references.py"
    files = [path for path in (ROOT / room).rglob("*.py") if "$ref" in path.read_text(encoding="utf-8")]
    assert set(files) <= {home}
