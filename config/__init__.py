"""What the operator says: settings, connections, references to secrets. Knows nothing of Redis,
Graph or Celery.

Names are loaded when first used (PEP 562), so that importing the package costs nothing and does not
need pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.clouds import CLOUDS, Cloud
    from config.connections import SANDBOX, Connection
    from config.errors import ConfigError, ReferenceError_, UnknownConnection
    from config.reader import load_settings, parse_connection, parse_schedule
    from config.references import Reference
    from config.schedules import Schedule
    from config.secrets import Secret
    from config.sections import (
        BrokerSection,
        GraphSection,
        LedgerSection,
        LogsSection,
        QuotaSection,
        RedisSection,
        setting_keys,
    )
    from config.settings import Settings
    from config.values import Limit, Pace, fold_domain, mask_url
    from config.watch import Watched

_HOME = {
    "CLOUDS": "clouds",
    "Cloud": "clouds",
    "SANDBOX": "connections",
    "Connection": "connections",
    "ConfigError": "errors",
    "ReferenceError_": "errors",
    "UnknownConnection": "errors",
    "Reference": "references",
    "Schedule": "schedules",
    "Secret": "secrets",
    "BrokerSection": "sections",
    "GraphSection": "sections",
    "LedgerSection": "sections",
    "LogsSection": "sections",
    "QuotaSection": "sections",
    "RedisSection": "sections",
    "Settings": "settings",
    "load_settings": "reader",
    "parse_schedule": "reader",
    "parse_connection": "reader",
    "setting_keys": "sections",
    "Limit": "values",
    "Pace": "values",
    "fold_domain": "values",
    "mask_url": "values",
    "Watched": "watch",
}

__all__ = [
    "CLOUDS",
    "SANDBOX",
    "BrokerSection",
    "Cloud",
    "ConfigError",
    "Connection",
    "GraphSection",
    "LedgerSection",
    "Limit",
    "LogsSection",
    "Pace",
    "QuotaSection",
    "RedisSection",
    "Reference",
    "ReferenceError_",
    "Schedule",
    "Secret",
    "Settings",
    "UnknownConnection",
    "Watched",
    "fold_domain",
    "load_settings",
    "mask_url",
    "parse_connection",
    "parse_schedule",
    "setting_keys",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next use finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
