"""What a connection does by rule to its tenant's guests: tables within its own."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from config.references import Reference
from config.section import Domains, Flag, Section, as_list, check_reference, optional
from config.values import Ceiling, parse_count, parse_seconds

EXTENSION_ATTRIBUTES = tuple(f"extensionAttribute{number}" for number in range(1, 16))
"""What a user has for an organisation's own use.
https://learn.microsoft.com/graph/api/resources/onpremisesextensionattributes
"""

_Age = Annotated[float | None, optional(parse_seconds)]
_Count = Annotated[int, PlainValidator(partial(parse_count, least=0))]


def check_extension_attribute(value: object) -> str:
    """Return the name of an extension attribute. Raises ValueError with half a sentence."""
    if isinstance(value, str) and value in EXTENSION_ATTRIBUTES:
        return value
    raise ValueError("must be one of extensionAttribute1 to extensionAttribute15")


def _check_file(value: object, info: ValidationInfo) -> Reference | None:
    if value is None:
        return None
    if not isinstance(value, Reference | str) or not str(value).startswith("file:"):
        raise ValueError("must be file:/path, of a list of addresses")
    return check_reference(value, info)


def _check_group(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("must be the ids, addresses or names of groups")


class CleanSection(Section):
    """What the clean-up of a connection's guests goes by (`[connections.NAME.clean]`). An age that
    is absent: that is not done.
    """

    remind_after_s: _Age = Field(default=None, alias="remind_after")
    remind_every_s: _Age = Field(default=None, alias="remind_every")
    """None: as for reminders by hand."""
    remind_times: Annotated[int | None, optional(parse_count)] = None
    remind_sponsor_before_s: _Age = Field(default=None, alias="remind_sponsor_before")
    """So long before a guest's access ends their sponsors are told."""
    disable_pending_after_s: _Age = Field(default=None, alias="disable_pending_after")
    disable_inactive_after_s: _Age = Field(default=None, alias="disable_inactive_after")
    disable_expired: Flag = False
    expiry_attribute: Annotated[str, PlainValidator(check_extension_attribute)] = "extensionAttribute10"
    """Where the tenant keeps the day on which a guest's access ends."""
    delete_disabled_after_s: _Age = Field(default=None, alias="delete_disabled_after")
    """Of guests whom usher itself has disabled."""
    include_internal: Flag = False
    """Guests too that did not come by an invitation."""
    spare_domains: Domains = ()
    """With their subdomains."""
    spare_groups: Annotated[tuple[Annotated[str, PlainValidator(_check_group)], ...], BeforeValidator(as_list)] = ()
    spare_addresses: Annotated[
        Reference | None, PlainValidator(_check_file), PlainSerializer(lambda file: file and str(file))
    ] = None
    most_reminded: _Count = 500
    """Of one run. Beyond it nobody is reminded."""
    most_disabled: _Count = 100
    most_deleted: _Count = 50


_Ceiling = Annotated[Ceiling, PlainValidator(Ceiling.parse), PlainSerializer(str)]


class SyncSection(Section):
    """What lists go by that a connection's guests are kept in line with (its table `sync`)."""

    source_attribute: Annotated[str, PlainValidator(check_extension_attribute)] = "extensionAttribute11"
    """Where the tenant keeps which list has brought a guest."""
    most_left: _Ceiling = Ceiling(share=0.05)
    """Of one run: how many guests of a list may leave it. Beyond it nobody is taken away."""
    most_joined: Annotated[
        Ceiling | None, optional(Ceiling.parse), PlainSerializer(lambda most: most and str(most))
    ] = None
    """How many may join it; beyond it nobody is invited."""
