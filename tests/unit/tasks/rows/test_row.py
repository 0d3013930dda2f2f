from typing import Any

import pytest

from tasks.errors import InputError
from tasks.rows.row import BadRow, ValidRow, read_bad, validate_defaults, validate_record

EMAIL = "ann@partner.example"


def valid(**fields: Any) -> dict[str, Any]:
    """Return the row of a record that must be valid."""
    answer = validate_record({"email": EMAIL, **fields}, 1)
    assert isinstance(answer, ValidRow), answer
    return answer.row


def bad(**fields: Any) -> BadRow:
    """Return the fault of a record that must be refused."""
    answer = validate_record({"email": EMAIL, **fields}, 3, 7)
    assert isinstance(answer, BadRow), answer
    return answer


@pytest.mark.parametrize(
    "email",
    [
        "ann@example.com",
        "ann@partner.example",
        "Ann.O'Neill@Partner.Example",
        "ann+tag@partner.test",
        "a_b-c@sub.partner.test",
        "用户@例子.广告",
        "jörg@bücher.example",
        "ann@xn--bcher-kva.example",
        "x@" + "a" * 63 + ".example",
    ],
)
def test_addresses_that_exist_somewhere_are_accepted(email: str) -> None:
    """Reserved example names, tags, apostrophes and international addresses are left as they were
    written.
    """
    assert valid(email=email)["email"] == email


@pytest.mark.parametrize(
    ("email", "why"),
    [
        ("ann", "it has no @"),
        ("ann@@partner.example", "more than one @"),
        ("ann@a.example;bob@b.example", "more than one @"),
        ("Ann <ann@a.example>", "without a name"),
        ("an n@a.example", "it contains a space"),
        ("@a.example", "nothing stands before the @"),
        ("ann@", "nothing stands after the @"),
        ("ann@partner", "the domain has no dot"),
        ("ann@test", "the domain has no dot"),
        ("ann..b@a.example", "two dots in a row"),
        (".ann@a.example", "it starts with a dot"),
        ("ann@a-.example", "a dot and a hyphen side by side"),
        ("ann@x.invalid", "reserved name"),
        ("ann@mail.local", "reserved name"),
        ("ann@1.2.3.4", "top-level domain"),
        ("ann@" + "a" * 64 + ".example", "longer than 63"),
        ("a" * 250 + "@a.example", "longer than 254"),
        ("a\u200bnn@a.example", "unsafe"),
        ("ann(home)@a.example", "invalid characters"),
    ],
)
def test_a_bad_address_is_named_with_its_reason(email: str, why: str) -> None:
    """The reason is one phrase of ours and the row can be found by number, line and what was
    written.
    """
    row = bad(email=email, ref="HR-7", display_name="Ann")
    assert (row.number, row.line, row.column, row.email, row.ref, row.display_name) == (
        3,
        7,
        "email",
        email,
        "HR-7",
        "Ann",
    )
    assert row.reason.startswith("is not an e-mail address: ")
    assert why in row.reason


def test_an_address_is_required() -> None:
    """No address, a blank one or null is one and the same fault."""
    for record in ({}, {"email": ""}, {"email": "  "}, {"email": None}):
        answer = validate_record(record, 1, 2)
        assert isinstance(answer, BadRow)
        assert str(answer) == "line 2: email is missing"


def test_values_are_trimmed_and_only_given_ones_are_kept() -> None:
    """Blank fields do not appear, so that a connection's own defaults can fill them."""
    row = valid(
        email=f"\u00a0 {EMAIL} ", display_name="  Ann  ", ref=" ", message=None, cc="", sponsors=[], send_message=""
    )
    assert row == {"email": EMAIL, "display_name": "Ann"}


def test_every_field_in_its_final_shape() -> None:
    """Booleans are bool, lists are lists, types and tags are spelled as Graph wants them."""
    assert valid(
        first_name="Ann",
        last_name="Ö",
        redirect_url="https://apps.partner.example/x?y#z",
        message="Hello\r\nthere\rAnn",
        language="pt_BR",
        cc="boss@partner.example",
        send_message="No",
        user_type="member",
        sponsors="eva@contoso.example; 9f0b5e2c-0000-4000-8000-000000000001;;",
        groups=["9f0b5e2c-0000-4000-8000-000000000002", "Finance, Oslo; all"],
        teams="Project South\r\nProject North;Project South",
        company="Fabrikam, Inc.",
        department=" R&D ",
        job_title="Head of Research",
        usage_location="no",
        phone="+47 (22) 86-44.00 ext. 7",
        expires="31.12.2026",
        ref="x" * 64,
    ) == {
        "email": EMAIL,
        "first_name": "Ann",
        "last_name": "Ö",
        "redirect_url": "https://apps.partner.example/x?y#z",
        "message": "Hello\nthere\nAnn",
        "language": "pt-BR",
        "cc": "boss@partner.example",
        "send_message": False,
        "user_type": "Member",
        "sponsors": ["eva@contoso.example", "9f0b5e2c-0000-4000-8000-000000000001"],
        "groups": ["9f0b5e2c-0000-4000-8000-000000000002", "Finance, Oslo; all"],
        "teams": ["Project South", "Project North"],
        "company": "Fabrikam, Inc.",
        "department": "R&D",
        "job_title": "Head of Research",
        "usage_location": "NO",
        "phone": "+47 (22) 86-44.00 ext. 7",
        "expires": "2026-12-31",
        "ref": "x" * 64,
    }


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("true", True), ("YES", True), ("1", True), (True, True), (1, True), ("False", False), ("no", False), (0, False)],
)
def test_booleans(value: object, meaning: bool) -> None:
    """The six spellings, and JSON's own booleans."""
    assert valid(send_message=value)["send_message"] is meaning


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("redirect_url", "partner.example/x", "must begin with https://"),
        ("redirect_url", "ftp://partner.example", "must begin with https://"),
        ("redirect_url", "https:///x", "names no host"),
        ("redirect_url", "https://../x", "names no host"),
        ("redirect_url", "https://a b.example", "a space"),
        ("redirect_url", "https://a.example:99999", "not a web address"),
        ("redirect_url", "https://[::1", "not a web address"),
        ("redirect_url", "https://a.example/" + "x" * 2048, "longer than 2048"),
        ("cc", "a@x.example; b@x.example", "more than one address; Graph takes one"),
        ("cc", ["a@x.example", "b@x.example"], "more than one address; Graph takes one"),
        ("cc", "boss", "is not an e-mail address: it has no @"),
        ("language", "xx", "not a known language tag"),
        ("language", "Deutsch", "not a known language tag"),
        ("language", "de_", "not a known language tag"),
        ("user_type", "Admin", "must be Guest or Member"),
        ("send_message", "maybe", "must be true or false"),
        ("send_message", 2, "must be true or false"),
        ("send_message", [], "must be true or false"),
        ("sponsors", ";".join(f"s{n}@x.example" for n in range(6)), "names 6, and at most 5"),
        ("sponsors", "Ann\tBell", "must hold object ids, addresses or names"),
        ("groups", ["a\nb"], "must hold object ids, addresses or names"),
        ("teams", "x" * 257, "an entry longer than 256"),
        ("teams", ";".join(map(str, range(101))), "names 101, and at most 100"),
        ("company", "x" * 65, "longer than 64"),
        ("department", "x" * 65, "longer than 64"),
        ("job_title", "x" * 129, "longer than 128"),
        ("usage_location", "Norway", "must be the two letters of a country"),
        ("usage_location", "47", "must be the two letters of a country"),
        ("phone", "ask Ann", "is not a telephone number"),
        ("phone", "1" * 65, "longer than 64"),
        ("phone", ["1", "2"], "more than one number; Graph takes one"),
        ("expires", "next year", "is not a date such as 2026-12-31"),
        ("expires", 46387, "must be text"),
        ("groups", [7], "must be text"),
        ("groups", {"a": 1}, "must be a list"),
        ("ref", "x" * 65, "longer than 64"),
        ("ref", "a\tb", "control character"),
        ("ref", 12, "must be text"),
        ("display_name", "x" * 257, "longer than 256"),
        ("display_name", "Ann\nBell", "control character"),
        ("display_name", "Ann\ud800", "control character"),
        ("first_name", "x" * 65, "longer than 64"),
        ("message", "x" * 5001, "longer than 5000"),
        ("message", "a\x07", "control character"),
        ("email", ["a@x.example"], "must be text"),
        ("nickname", "x", "is not a field of a row"),
    ],
)
def test_a_bad_field_is_named_with_its_reason(field: str, value: object, why: str) -> None:
    """Each rule has its sentence, the first fault is reported, and no cell's content is repeated in
    it.
    """
    row = bad(**{field: value})
    assert row.column == field
    assert why in row.reason


def test_a_reason_never_repeats_the_cell() -> None:
    """An address in the wrong column must not travel into logs with the reason."""
    for field in ("redirect_url", "language", "user_type", "send_message", "sponsors", "ref"):
        row = bad(**{field: "secret person@partner.example, " + "x" * 300})
        assert "person" not in row.reason


def test_no_guest_in_a_repr() -> None:
    """What lands in a traceback or a log names fields and faults, nobody's address."""
    for answer in (validate_record({"email": EMAIL, "ref": "r"}, 1), validate_record({"email": EMAIL + "@"}, 1)):
        assert "partner" not in repr(answer)
    assert repr(validate_record({"email": EMAIL}, 1, 2)) == "ValidRow(number=1, line=2, fields=['email'])"


def test_a_field_is_named_safely() -> None:
    """A producer's key of any length and content makes a short printable column name."""
    row = bad(**{"\x1b[2J" + "x" * 500: "1"})
    assert row.column.isprintable()
    assert len(row.column) == 64


def test_defaults_fill_what_is_missing_and_no_more() -> None:
    """A row's own value wins; a default is checked once, by name."""
    defaults = validate_defaults({"redirect_url": "https://a.example", "send_message": "no", "language": None})
    assert defaults == {"redirect_url": "https://a.example", "send_message": False}
    answer = validate_record({"email": EMAIL, "send_message": "yes", "redirect_url": ""}, 1, None, defaults)
    assert answer == ValidRow(1, None, {"email": EMAIL, "redirect_url": "https://a.example", "send_message": True})
    assert defaults["send_message"] is False


@pytest.mark.parametrize(
    ("defaults", "sentence"),
    [
        ({"email": EMAIL}, "email cannot be given for all rows at once."),
        ({"colour": "red"}, "colour cannot be given for all rows at once."),
        ({"user_type": "x"}, "user_type, given for all rows, must be Guest or Member."),
    ],
)
def test_bad_defaults_are_refused(defaults: dict[str, str], sentence: str) -> None:
    """A default is refused by name before a row is read."""
    with pytest.raises(InputError) as caught:
        validate_defaults(defaults)
    assert str(caught.value) == sentence


def test_something_that_is_no_record() -> None:
    """A producer's list may hold anything; each item is a row or a fault."""
    for item in (None, "ann@a.example", ["ann@a.example"], 7):
        assert validate_record(item, 2) == BadRow(2, None, "", "is not an object with fields")


@pytest.mark.parametrize(
    "row", [BadRow(3, None, "email", "is missing"), BadRow(3, 7, "", "is not an object"), BadRow(1, 2, "colour", "no")]
)
def test_a_bad_row_is_read_from_what_its_outcome_says(row: BadRow) -> None:
    """A column is told apart only where it is a field's name; another text is a reason as it is."""
    number, line, column, reason = read_bad(f"Not sent: {row}.")
    assert (number, line) == ((None, row.line) if row.line else (row.number, None))
    assert f"{column} {reason}".strip() == f"{row.column} {row.reason}.".strip()
    assert column in ("", "email")
    assert read_bad("It was so.") == (None, None, "", "It was so.")
