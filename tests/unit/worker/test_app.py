from __future__ import annotations

import pytest

from config.settings import Settings
from worker.app import build_settings
from worker.process.process_settings import ProcessSettings, celery_url
from worker.queues import BULK, NOW, PRODUCERS, SCHEDULES, seats_of


def _settings(url: str, broker: str = "") -> dict[str, object]:
    return build_settings(ProcessSettings(Settings, url, broker or celery_url(url), celery_url(url)))


@pytest.mark.parametrize(("threads", "seats"), [(1, 1), (2, 2), (4, 3), (8, 6), (32, 24), (64, 56), (256, 248)])
def test_a_few_threads_are_kept_for_producers(threads: int, seats: int) -> None:
    """A quarter, eight at most, and never the only one."""
    assert seats_of(threads) == seats


def test_every_key_of_celery_has_our_prefix() -> None:
    """Broker, results and schedules beside the ledger, never at the root of a shared Redis."""
    found = _settings("redis://h:1/0")
    assert found["broker_transport_options"]["global_keyprefix"] == "usher:mq:"  # type: ignore[index]
    assert found["result_backend_transport_options"]["global_keyprefix"] == "usher:res:"  # type: ignore[index]
    assert str(found["redbeat_key_prefix"]).startswith("usher:")


def test_only_json_is_accepted() -> None:
    """Pickle from a broker would be code from a broker."""
    found = _settings("redis://h:1/0")
    assert (found["accept_content"], found["result_accept_content"]) == (["json"], ["json"])
    assert {found[f"{name}_serializer"] for name in ("task", "result", "event")} == {"json"}
    assert found["result_extended"] is False


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:zq%40ter@h:1/0",
        "rediss://:zqter@h:1/0",
        "sentinel://me:zqter@a:1,b:2/m/0",
        "sentinels://me:zqter@a:1,b:2/m/0?sentinel_username=us&sentinel_password=zqter",
        "unix:///s?db=1&password=zqter",
    ],
)
def test_what_a_worker_tells_of_its_settings_holds_no_password(url: str) -> None:
    """Flower's page of a worker shows them, and so do `celery inspect conf` and `celery report`."""
    from celery.app.utils import filter_hidden_settings

    shown = filter_hidden_settings(_settings(url))
    assert "zq" not in str(shown)


def test_beat_gets_the_login_beside_the_url() -> None:
    """Undone of its percent signs, as redis-py wants it."""
    for url, bare in (
        ("redis://me:pa%40ss@h:1/0", "redis://h:1/0"),
        ("unix:///s?password=pa%40ss&db=2&username=me", "unix:///s?db=2"),
    ):
        found = _settings(url)
        assert found["redbeat_redis_url"] == bare
        assert found["redbeat_redis_options"]["password"] == "pa@ss"  # type: ignore[index]
        assert found["redbeat_redis_options"]["username"] == "me"  # type: ignore[index]
    assert _settings("unix:///s?db=2")["redbeat_redis_url"] == "unix:///s?db=2"


def test_a_socket_is_spelled_for_celery() -> None:
    """kombu's form of it; keep-alive is for TCP only."""
    found = _settings("unix:///tmp/v.sock?db=2")
    assert found["broker_url"] == "redis+socket:///tmp/v.sock?virtual_host=2"
    assert found["redis_socket_keepalive"] is False
    assert "socket_keepalive" not in found["broker_transport_options"]  # type: ignore[operator]


def test_sentinels_are_spelled_for_celery() -> None:
    """Every host with the login and the database, the master's name beside them."""
    found = _settings("sentinel://me:pw@one:26379,two:26380/mymaster/3")
    assert found["broker_url"] == "sentinel://me:pw@one:26379/3;sentinel://me:pw@two:26380/3"
    assert found["broker_transport_options"]["master_name"] == "mymaster"  # type: ignore[index]
    assert found["result_backend_transport_options"]["master_name"] == "mymaster"  # type: ignore[index]
    assert found["redbeat_redis_url"] == "redis-sentinel://"
    hosts = [("one", 26379), ("two", 26380)]
    told = {
        "sentinels": hosts,
        "service_name": "mymaster",
        "db": 3,
        "username": "me",
        "password": "pw",
        "socket_timeout": 5.0,
        "sentinel_kwargs": {"socket_timeout": 3.0},
    }
    assert found["redbeat_redis_options"] == told
    assert [found[name] for name in _USE_SSL] == [None, None, None]
    # The port is said: where it is not, Celery's results would ask at Redis's own
    assert str(_settings("sentinel://one/m")["result_backend"]) == "sentinel://one:26379/0"


_USE_SSL = ("broker_use_ssl", "redis_backend_use_ssl", "redbeat_redis_use_ssl")


def test_sentinels_with_tls_are_spelled_for_celery() -> None:
    """Certificates are checked on the way to the Sentinels and to the servers, by broker, results
    and beat; each by its own URL.
    """
    url = "sentinels://me:pw@one,two/mymaster/3?ssl_ca_certs=%2Fetc%2Fca.pem"
    trust = {"ssl_cert_reqs": "required", "ssl_ca_certs": "/etc/ca.pem"}
    found = _settings(url)
    assert found["broker_url"] == "sentinel://me:pw@one:26379/3;sentinel://me:pw@two:26379/3"
    assert [found[name] for name in _USE_SSL] == [trust, trust, trust]
    for name in ("broker_transport_options", "result_backend_transport_options", "redbeat_redis_options"):
        assert found[name]["sentinel_kwargs"] == {"socket_timeout": 3.0, "ssl": True, **trust}  # type: ignore[index]
    assert [_settings("redis://h:1/0", url)[name] for name in _USE_SSL] == [trust, None, None]
    assert [_settings(url, "amqp://guest@rabbit//")[name] for name in _USE_SSL] == [None, trust, trust]


def test_an_amqp_broker_gets_no_redis_options() -> None:
    """The ledger and the results stay in Redis."""
    found = _settings("redis://h:1/0", "amqp://guest@rabbit//")
    assert found["broker_url"] == "amqp://guest@rabbit//"
    assert found["broker_transport_options"] == {}
    assert found["result_backend"] == "redis://h:1/0"
    assert found["worker_disable_prefetch"] is False


def test_the_queues_are_four() -> None:
    """Producers' messages, what somebody waits for, everything else."""
    queues = _settings("redis://h:1/0")["task_queues"]
    assert [queue.name for queue in queues] == [PRODUCERS, SCHEDULES, NOW, BULK]  # type: ignore[attr-defined]
