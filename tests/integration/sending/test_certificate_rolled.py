"""A certificate is replaced by the next one without a restart, as a secret and a token file are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.reader import parse_connection
from tests.sites import Site
from worker.errors import TokenRefused
from worker.signin.new_certificate import make_certificate
from worker.signin.tokens import TokenSource

pytestmark = pytest.mark.sandbox(replication="0")


def write_next(folder: Path, name: str) -> Path:
    """Put a new certificate where the connection reads it; returns its public half."""
    made = make_certificate(name, 30)
    (folder / "contoso.pem").write_bytes(made.private_pem)
    public = folder / f"{name}.cer"
    public.write_bytes(made.public_pem)
    return public


async def test_the_next_certificate_counts_once_entra_has_it(site: Site) -> None:
    """Before that the sentence says what to do."""
    ready = site.sandbox.ready
    table: dict[str, Any] = {
        name: ready[name] for name in ("tenant_id", "client_id", "authority", "graph_url", "ca_file")
    }
    target = parse_connection("contoso", table | {"certificate": "file:contoso.pem"}, base=site.folder)
    tokens = TokenSource(timeout_s=5)
    try:
        site.sandbox.ask("certificate", {"file": str(write_next(site.folder, "first"))})
        first = await tokens.get(target)
        public = write_next(site.folder, "next")
        with pytest.raises(TokenRefused, match="upload this certificate") as refused:
            await tokens.get(target, fresh=True)
        assert refused.value.code == "AADSTS700027"
        site.sandbox.ask("certificate", {"file": str(public)})
        assert (await tokens.get(target, fresh=True)).fingerprint != first.fingerprint
    finally:
        await tokens.close()
