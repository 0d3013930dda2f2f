"""An order's types: what may be said of a list that is to be done something about."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from config.connections import means_several
from tasks.rows.fields import FIELDS
from tasks.rows.named import NAMED
from worker.channels import INVITE

MOST_ROWS: Final = 10_000
"""Rows in JSON; longer lists come as files."""
SEVERAL: Final = frozenset((*NAMED, "mapping", "connections"))
"""Fields that a form or a query may give several times."""
_ONE: Final = r"(tag:)?[a-z0-9-]{1,64}"
_Names = Annotated[list[str], BeforeValidator(lambda value: _split(value, ";"))]
_Connections = Annotated[
    list[Annotated[str, StringConstraints(pattern=rf"^{_ONE}$")]], BeforeValidator(lambda value: _split(value, ","))
]


def _split(value: Any, between: str) -> Any:
    """Return names that a form or a query gives one by one, or with a sign between them."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [name.strip() for one in value for name in one.split(between) if name.strip()]
    return value


def _map(value: Any) -> Any:
    """Return a mapping that a form or a query gives as FIELD=HEADING, time and again."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        pairs = [one.partition("=") for one in value]
        if all(equals for _, equals, _ in pairs):
            return {name.strip(): heading.strip() for name, _, heading in pairs}
    return value


class Order(BaseModel):
    """What is to be done, and how. Fields that are left out are as `usher invite` has them."""

    model_config = ConfigDict(extra="forbid", str_max_length=5000)

    connection: str | None = Field(
        default=None,
        pattern=rf"^{_ONE}( ?, ?{_ONE})*$",
        description="Through which connection: its name. Or through several, as `usher invite -c` takes them: names,"
        " `tag:TAG` and `all`, with commas between them; the list is a submission then.",
    )
    connections: _Connections = Field(
        default=[],
        max_length=10_000,
        description="Instead of `connection`: through which connections, each a name, `tag:TAG` or `all`. The list is a"
        " submission, of a job for each.",
    )
    operation: str = Field(
        default=INVITE, max_length=64, description="What is done to these people: invite, remind, disable, …"
    )
    confirm: bool = Field(
        default=False,
        description="Must be true where an operation takes something away from guests (disable, delete, …).",
    )
    pilot: int | None = Field(default=None, ge=1, description="Send the first rows, so many, then pause.")
    most: int | None = Field(default=None, ge=0, description="Do it to at most so many guests; beyond that, to none.")
    strict: bool = Field(default=False, description="Accept nothing if any row is bad.")
    accept_bad: bool = Field(
        default=False, description="Accept the good rows even where more than 5 % (and more than 20 rows) are bad."
    )
    resend: bool = Field(default=False, description="Mail guests again who are in the tenant already.")
    redirect_url: str | None = Field(default=None, description="Where guests land, for rows that bring none.")
    message: str | None = Field(default=None, description="Words for the e-mail, for rows that bring none.")
    language: str | None = Field(default=None, description="Language of the e-mail, such as de-DE.")
    send_message: bool | None = Field(default=None, description="Whether guests get an e-mail.")
    sponsors: _Names = Field(default=[], description="Who answers for all of them: addresses, ids or names.")
    groups: _Names = Field(default=[], description="Groups that all of them join: names, ids or addresses.")
    teams: _Names = Field(default=[], description="Teams that all of them join.")
    notify: str | None = Field(default=None, description="Who is told when it is held or has ended: an https:// URL.")
    reason: str | None = Field(default=None, max_length=500, description="Why; shown with the job.")
    name: str | None = Field(default=None, max_length=200, description="What the list is called.")

    @model_validator(mode="after")
    def _names_connections(self) -> Self:
        if (self.connection is None) == (not self.connections):
            raise ValueError("either connection or connections says through which it goes")
        return self

    @property
    def through(self) -> str:
        """The connections as they were named."""
        return self.connection or ",".join(self.connections)

    @property
    def is_submission(self) -> bool:
        """Whether it goes through several connections, of which there may be one at the moment."""
        return self.connection is None or means_several(self.connection)


class ListOrder(Order):
    """An order whose list is a file. How it is to be read is recognised where it is not said."""

    delimiter: str | None = Field(default=None, description="comma, semicolon, tab, bar, or the sign itself.")
    encoding: str | None = Field(default=None, description="Of a text, such as windows-1252.")
    mapping: Annotated[dict[str, str], BeforeValidator(_map)] = Field(
        default={}, description="Which column a field is read from: FIELD=HEADING, for each one."
    )
    sheet: str | None = Field(default=None, description="Of an Excel workbook.")
    hidden: str | None = Field(default=None, pattern="^(include|skip)$", description="What of hidden rows of a sheet.")
    header_line: int | None = Field(default=None, ge=1, description="The line that holds the headings.")


_ROW_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A guest. Only email must be there.",
    "required": ["email"],
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "string"} for name in FIELDS if name not in ("send_message", *NAMED)},
        "send_message": {"type": "boolean"},
        **{name: {"type": "array", "items": {"type": "string"}} for name in NAMED},
    },
}


class RowsOrder(Order):
    """An order with its rows. A row that cannot be sent ends failed, and the others go."""

    rows: Annotated[list[Any], WithJsonSchema({"type": "array", "items": _ROW_SCHEMA, "minItems": 1})] = Field(
        min_length=1, max_length=MOST_ROWS
    )


class FileOrder(ListOrder):
    """An order as a form."""

    list: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        description="The list: CSV, Excel (.xlsx) or JSON lines."
    )
