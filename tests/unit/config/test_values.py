from __future__ import annotations

import pytest

from config.values import (
    BROKER_SCHEMES,
    REDIS_SCHEMES,
    Ceiling,
    Limit,
    Pace,
    Reserve,
    is_loopback,
    mask_url,
    parse_count,
    parse_domain,
    parse_flag,
    parse_redirect_url,
    parse_seconds,
    parse_server_url,
    parse_service_url,
    parse_share,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("1.5h", 5400), ("7", 7), (2, 2), (0.25, 0.25)],
)
def test_lengths_of_time(text: object, seconds: float) -> None:
    """A length of time is seconds, or text with a unit."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "value",
    [0, -1, True, None, "", "d", "30 days", "1h30m", "-5s", "0s", "1e3", "nan", "inf", float("nan"), 10**400, "٣s"],
)
def test_what_is_no_length_of_time_is_refused(value: object) -> None:
    """Nothing but a finite time above zero is taken, and no value is repeated."""
    with pytest.raises(ValueError, match=r"^must be a length of time above zero"):
        parse_seconds(value)


def test_limits() -> None:
    """A limit is read as documented, and shown so that it can be read again."""
    assert Limit.parse("18000/300s") == Limit(18_000, 300.0)
    assert Limit.parse("18000/5m") == Limit(18_000, 300.0)
    assert Limit.parse(" 150 / 0.5 ") == Limit(150, 0.5)
    assert str(Limit(150, 5.0)) == "150/5s"
    assert str(Limit(150, 0.0000005)) == "150/0.0000005s"


@pytest.mark.parametrize(
    "value", ["150", "150/", "/5s", "0/5s", "150/0s", "-1/5s", "1.5/5s", "150/5s/2", 150, None, "a/5s"]
)
def test_what_is_no_limit_is_refused(value: object) -> None:
    """A bucket that never fills or never empties is refused."""
    with pytest.raises(ValueError, match=r"^must be an amount and a length of time") as caught:
        Limit.parse(value)
    assert caught.value.__context__ is None


def test_paces() -> None:
    """The three paces, and how they are shown."""
    assert Pace.parse("quota") == Pace("quota", None)
    assert Pace.parse("guarded") == Pace("guarded", 12.0)
    assert Pace.parse("12/min") == Pace("smooth", 12.0)
    assert [str(Pace.parse(text)) for text in ("quota", "guarded", "0.5/min")] == ["quota", "guarded", "0.5/min"]
    bad: object
    for bad in ("fast", "0/min", "12", "12/s", 12, "-1/min"):
        with pytest.raises(ValueError, match="12/min"):
            Pace.parse(bad)


def test_flags_and_counts() -> None:
    """Booleans and counts come from TOML as they are and from the environment as text."""
    assert [parse_flag(v) for v in (True, "true", "Yes", "on", "1")] == [True] * 5
    assert [parse_flag(v) for v in (False, "false", "No", "off", "0")] == [False] * 5
    assert (parse_count("12"), parse_count(1)) == (12, 1)
    bad: object
    for bad in (1, None, "maybe", []):
        with pytest.raises(ValueError, match="must be true or false"):
            parse_flag(bad)
    for bad in (0, True, 1.0, "x", "-1", None, 10**12):
        with pytest.raises(ValueError, match="whole number of at least 1"):
            parse_count(bad)
    assert (parse_count(0, least=0), parse_count("0", least=0)) == (0, 0)
    assert [parse_share(v) for v in (0, 1, 0.5, "0.25", "1.0")] == [0, 1, 0.5, 0.25, 1]
    for bad in (-0.1, 1.1, True, "half", "-0", None, float("nan"), 10**400):
        with pytest.raises(ValueError, match="a share from 0 to 1"):
            parse_share(bad)


def test_domains_are_folded() -> None:
    """Two spellings of a domain are one."""
    assert parse_domain("@Bücher.Example") == "xn--bcher-kva.example"
    assert parse_domain(" CONTOSO.com ") == "contoso.com"
    bad: object
    for bad in ("*.contoso.com", "contoso", "a@contoso.com", "", "contoso..com", "-a.com", 5, "a." * 130 + "com"):
        with pytest.raises(ValueError, match="plain domain name"):
            parse_domain(bad)


def test_redirect_urls_are_absolute() -> None:
    """Graph refuses a relative one for each row; so it is refused once."""
    for good in ("https://contoso.com", "http://localhost:8080/x?y#z", "https://[::1]/", "https://bücher.example/"):
        assert parse_redirect_url(good) == good
    for bad in (
        "/home",
        "contoso.com",
        "ftp://contoso.com",
        "https://",
        "https://a b",
        "https://a\tb.c",
        "https://a:99999",
        5,
        "",
    ):
        with pytest.raises(ValueError, match="must be an absolute https:// or http:// URL with a host"):
            parse_redirect_url(bad)


def test_service_urls() -> None:
    """Where tokens go is https, in one spelling."""
    assert parse_service_url("https://Graph.Contoso.com:443/v1.0/") == ("graph.contoso.com", "v1.0")
    assert parse_service_url("https://127.0.0.1:8443") == ("127.0.0.1:8443", "")
    assert parse_service_url("https://[::1]:8443/x/y") == ("[::1]:8443", "x/y")
    for bad in ("http://127.0.0.1", "https://u:p@host", "https://host/?x", "https://host/#x"):
        with pytest.raises(ValueError, match="https://"):
            parse_service_url(bad)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        "rediss://user:p%40ss@redis.example.com:6380/2?ssl_cert_reqs=required",
        "unix:///run/redis.sock?db=2",
        "unix://user:pass@/run/redis.sock",
        "redis+socket:///run/redis.sock?virtual_host=1",
        "sentinel://host:26379/mymaster/0",
        "sentinel://:pw@a:26379,b:26379/mymaster",
        "sentinels://:pw@a:26379,b:26379/mymaster/0?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_certfile=c&ssl_keyfile=k",
        "sentinel://:pw@a:26379/mymaster?sentinel_username=me&sentinel_password=p%40ss",
        "sentinels://a:26379/mymaster?sentinel_password=pw&ssl_ca_certs=%2Fetc%2Fca.pem",
    ],
)
def test_redis_urls(url: str) -> None:
    """Every scheme of the documentation is taken, for Redis and as broker."""
    assert parse_server_url(url, REDIS_SCHEMES) == url
    assert parse_server_url(url, BROKER_SCHEMES) == url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "amqp://localhost",
        "redis://",
        "redis:///0",
        "redis://u:hunter2/x@host/0",
        "redis://u:hunter2#x@host/0",
        "redis://u:12/hunter2@host/0",
        "redis://host:hunter2/0",
        "redis://host/hunter2",
        "unix://run/redis.sock",
        "sentinel://host:26379",
        "sentinel:///mymaster",
        "sentinels://host:26379?ssl_ca_certs=a",
        "sentinels://host/mymaster?ssl_cert_reqs=none",
        "sentinel://host/mymaster?ssl_ca_certs=a",
        "sentinel://host/mymaster?password=hunter2",
        "rediss://host/0?ssl_cert_reqs=none",
        "rediss://:hunter2@host/0?ssl_ca_certs=a&ssl_cert_reqs=CERT_NONE",
        "rediss://host/0?ssl_cert_reqs=optional",
        "rediss://host/0?ssl_check_hostname=False",
        "redis://host\n/0",
        "",
        6379,
    ],
)
def test_what_is_no_redis_url_is_refused(url: object) -> None:
    """A URL that cannot work is refused, and never repeated: it may hold a password."""
    with pytest.raises(ValueError) as caught:
        parse_server_url(url, REDIS_SCHEMES)
    assert str(caught.value).startswith("must ")
    assert "hunter2" not in str(caught.value)


def test_broker_urls() -> None:
    """The broker may be RabbitMQ; a near miss is offered the right scheme."""
    for url in ("amqp://u:p@rabbit:5672//", "amqps://rabbit/vhost"):
        assert parse_server_url(url, BROKER_SCHEMES) == url
    for url in ("amqps://rabbit/v?ssl_cert_reqs=none", "amqps://rabbit/v?ssl_ca_certs=a"):
        with pytest.raises(ValueError, match=r"an authority of your own is named by SSL_CERT_FILE"):
            parse_server_url(url, BROKER_SCHEMES)
    with pytest.raises(ValueError, match=r"did you mean amqps\?"):
        parse_server_url("ampqs://rabbit", BROKER_SCHEMES)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:pw@host:6379/0", "redis://***@host:6379/0"),
        ("redis://u:p@w@x@host", "redis://***@host"),
        ("redis://u:p/w#x@host", "redis://***@host"),
        ("unix:///s?password=pw&db=1", "unix:///s?password=***&db=1"),
        ("sentinel://h/m?db=1&sentinel_password=pw", "sentinel://h/m?db=1&sentinel_password=***"),
    ],
)
def test_urls_are_masked(url: str, shown: str) -> None:
    """A URL is shown without what stands before its host, and without passwords in its query."""
    assert mask_url(url) == shown


def test_a_reserve_is_a_percentage_up_to_half() -> None:
    """As text or as a share; more than half would leave no room for a batch."""
    good = ("5%", "0%", "12.5 %", "50%", 0.05, 0, "0.1", Reserve(0.2))
    assert [Reserve.parse(v).share for v in good] == [0.05, 0, 0.125, 0.5, 0.05, 0, 0.1, 0.2]
    assert [str(Reserve.parse(v)) for v in good[:3]] == ["5%", "0%", "12.5%"]
    for bad in ("51%", "5", "-1%", "%", 0.6, True, None, "five%", float("nan")):
        with pytest.raises(ValueError, match="percentage from 0% to 50%"):
            Reserve.parse(bad)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("host", False),
        ("[::1]", True),
    ],
)
def test_loopback_is_this_machine(host: str, own: bool) -> None:
    """A name may be anybody's."""
    assert is_loopback(host) is own


def test_a_ceiling_is_a_number_or_a_share() -> None:
    """Of a share one at least, so that a short list can lose somebody; nothing is nothing."""
    good = (3, "3", 0, "5%", "0%", "100 %", Ceiling(count=2))
    assert [str(Ceiling.parse(v)) for v in good] == ["3", "3", "0", "5%", "0%", "100%", "2"]
    assert [Ceiling.parse("5%").of(total) for total in (0, 10, 39, 40, 5000)] == [1, 1, 1, 2, 250]
    assert Ceiling.parse("29%").of(100) == 29
    assert [Ceiling.parse(v).of(1000) for v in (3, 0, "0%", "100%")] == [3, 0, 0, 1000]
    for bad in (-1, True, 0.05, "101%", "5 percent", "-5%", "", None):
        with pytest.raises(ValueError, match="number, or a percentage"):
            Ceiling.parse(bad)
