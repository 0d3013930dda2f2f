"""A running sandbox answers what is asked about tenant and application, by its ready file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tasks.errors import Refusal

READY = {"client_id": "client_id", "graph_url": "graph_url", "ca_file": "ca_file"}
"""By setting, where a ready file tells it; who signs in at which tenant differs."""


def read_ready_file(file: str, keys: Mapping[str, str]) -> dict[str, str]:
    """Return what a ready file tells, by the settings of `keys`. Raises `Refusal`."""
    try:
        ready = json.loads(Path(file).read_text(encoding="utf-8"))
        return {setting: str(ready[key]) for setting, key in keys.items()}
    except (OSError, ValueError, KeyError, TypeError):
        raise Refusal(
            f"{file} is not the ready file of a running sandbox: start one with usher sandbox --ready-file {file}."
            " Nothing was written."
        ) from None
