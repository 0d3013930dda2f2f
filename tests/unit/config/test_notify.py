"""Whom a message may name to be told: what is listed, and no address inside the network that is
not.
"""

from __future__ import annotations

import pytest

from config.notify import accept_from_message, may_call, parse_host, parse_notify, target_fault

LISTED = ("hooks.example.com", "10.1.2.3", "10.9.0.0/16", "fd00::5")


@pytest.mark.parametrize(
    "target",
    [
        "https://hooks.example.com/x?token=1",
        "https://HOOKS.example.com:8443/",
        "https://10.1.2.3/",
        "https://10.9.8.7/",
        "https://[fd00::5]/",
    ],
)
def test_a_message_may_name_what_is_listed(target: str) -> None:
    """A host, an address, a network."""
    assert accept_from_message(target, LISTED, signed=True) == target


@pytest.mark.parametrize(
    "target",
    [
        "https://elsewhere.example.com/",
        "https://hooks.example.com.evil.example/",
        "https://x.hooks.example.com/",
        "https://127.0.0.1/",
        "http://127.0.0.1:6379/",
        "http://localhost/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fd00::6]/",
        "https://10.8.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "celery:usher.cancel@celery",
        "https://user@hooks.example.com/",
        "https://hooks.example.com\\@127.0.0.1/",
        5,
        None,
    ],
)
def test_a_message_may_name_nothing_else(target: object) -> None:
    """A worker calls it from inside the network."""
    with pytest.raises(ValueError, match=r"must|host"):
        accept_from_message(target, LISTED, signed=True)


def test_where_nothing_is_listed_a_message_may_name_nobody() -> None:
    """A secret alone opens nothing."""
    with pytest.raises(ValueError, match=r"notify\.hosts"):
        accept_from_message("https://hooks.example.com/", (), signed=True)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", True),
        ("10.9.0.1", True),
        ("10.1.2.4", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::6", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("no address", False),
    ],
)
def test_an_address_inside_is_called_only_where_it_is_listed_itself(address: str, may: bool) -> None:
    """Loopback, link-local, private, shared: also in the disguise of an IPv6 address."""
    assert may_call(address, LISTED) is may


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("Hooks.Example.com", "hooks.example.com"),
        ("portal", "portal"),
        ("10.9.8.7/16", "10.9.0.0/16"),
        ("[fd00::5]", "fd00::5"),
    ],
)
def test_an_entry_is_kept_in_one_form(entry: str, kept: str) -> None:
    """In which targets and addresses are compared with it."""
    assert parse_host(entry) == kept
    assert parse_host(kept) == kept


@pytest.mark.parametrize("entry", ["", "*", "*.example.com", "https://x.example", "10.0.0.0/99", 5, "celery:usher.job"])
def test_an_entry_that_is_none_is_refused(entry: object) -> None:
    """In half a sentence."""
    with pytest.raises(ValueError, match="must"):
        parse_host(entry)


def test_a_celery_task_is_no_target() -> None:
    """Whoever named one is told where to ask instead, and a job of an earlier usher that names one
    calls nobody.
    """
    with pytest.raises(ValueError, match=r"must be an https:// address.*usher\.job"):
        parse_notify("celery:portal.told@portal")
    assert "usher.job" in target_fault("celery:portal.told@portal", (), signed=True)
