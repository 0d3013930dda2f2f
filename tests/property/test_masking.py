"""Whatever text an address stands in, no line of a log holds it."""

from __future__ import annotations

import json
import logging

from hypothesis import example, given
from hypothesis import strategies as st

from tasks.rows.mail_syntax import NotAnAddress, parse_address
from worker.logs import build_formatter
from worker.masking import mask_text

# Without the star, which stands for what was cut
_LOCAL = st.text(st.sampled_from("abzAZ019!#$%&'+-/=?^_`{|}~.éüß漢"), min_size=2, max_size=64)
_LABEL = st.text(st.sampled_from("abz019-éü漢"), min_size=1, max_size=20)
_DOMAIN = st.builds(".".join, st.lists(_LABEL, min_size=1, max_size=3)).map(lambda text: f"{text}.example")
_AROUND = st.text(max_size=30)
_SPELLING = st.sampled_from(["{}", "<{}>", "'{}'", '"{}"', "({})", "mailto:{}", "[{}]", "{},", "x={}"])


def _is_address(text: str) -> bool:
    if not text.partition("@")[0].strip("'"):
        return False
    try:
        parse_address(text)
    except NotAnAddress:
        return False
    return True


_ADDRESS = st.builds("{}@{}".format, _LOCAL, _DOMAIN).filter(_is_address)
"""Real ones: a name of nothing but quotation marks is told from quotation marks by nobody."""
_JSON = build_formatter(True)
_HUMAN = build_formatter(False)


@given(_ADDRESS, _SPELLING, _AROUND, _AROUND)
@example("o'hara@mail.example", "'{}'", "", "")
@example("ann@mail.example", "{}", "ben@", "@")
def test_an_address_loses_its_name_wherever_it_stands(address: str, spelling: str, before: str, after: str) -> None:
    """What stays of the part before the @ is one character; blanks around it or not."""
    text = f"{before} {spelling.format(address)} {after}"
    masked = mask_text(text)
    local = address.partition("@")[0]
    assert address not in masked
    assert f"{local[1:]}@" not in masked


@given(_ADDRESS)
def test_the_domain_stays(address: str) -> None:
    """A line still says whose tenant or mail server it is about."""
    name, _, domain = address.partition("@")
    masked = mask_text(f"for {address} nothing was found")
    assert masked.endswith(f"***@{domain} nothing was found")
    if name.isalnum():
        assert masked.startswith(f"for {name[0]}***@")


@given(_ADDRESS, _AROUND)
def test_every_line_is_masked_and_stays_one_object(address: str, around: str) -> None:
    """In the text, in its arguments, in what is bound, in what an exception says; a JSON line can
    be read.
    """
    try:
        raise ValueError(f"{around} {address}")
    except ValueError as error:
        record = logging.LogRecord("t", 40, __file__, 1, "about %s: %r", (address, error), (type(error), error, None))
    record.connection = address
    for line in (_JSON.format(record), _HUMAN.format(record)):
        assert address not in line
        assert f"{address.partition('@')[0][1:]}@" not in line
    line = _JSON.format(record)
    assert "\n" not in line
    assert json.loads(line)["level"] == "error"


def test_links_logins_and_tokens_go() -> None:
    """A redeem link's query is its ticket, a URL's login a password."""
    text = (
        "see https://login.example/redeem?rd=abc&ticket=t1cket, redis://user:pass@host:6379/0, "
        "Authorization: Bearer eyJhbGciOi.eyJzdWIi.sig and eyJhbGciOiJ9.e30.x"
    )
    masked = mask_text(text)
    for word in ("t1cket", "pass", "eyJ", "user:"):
        assert word not in masked
    assert "https://login.example/redeem?…" in masked


def test_node_names_stay() -> None:
    """Celery names its workers with an @; a domain has a dot."""
    assert mask_text("celery@worker-1 ready.") == "celery@worker-1 ready."
