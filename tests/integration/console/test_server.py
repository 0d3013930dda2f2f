"""A server starts, answers and ends."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.consoles import Console, run_console
from tests.processes import wait_until
from tests.sites import OwnValkey, Site


def test_health_is_told(console: Console) -> None:
    """Whoever watches over it asks /healthz."""
    answer = console.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_what_is_not_there_is_a_problem_document(console: Console) -> None:
    """Every error has the form of RFC 9457."""
    answer = console.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["title"]) == (404, "Not Found")
    assert told["detail"].endswith(".")
    other = console.ask("DELETE", "/healthz")
    assert (other.status_code, other.headers["Allow"]) == (405, "GET")
    jobs = console.ask("DELETE", "/v1/jobs")
    assert jobs.headers["Allow"] == "GET, POST"


def test_a_connection_is_held_while_its_list_cannot_be_read(site: Site) -> None:
    """By its name; one that is in the configuration is known, and a list that is there says who is
    not.
    """
    file, listed = site.folder / "usher.toml", site.folder / "tenants.csv"
    file.write_text('connections_file = "tenants.csv"\n' + file.read_text())
    with run_console(site) as console:
        held = console.post("/v1/connections/cronus/hold", json={"reason": "stop"})
        assert (held.status_code, held.json()["gate"].startswith("held")) == (200, True)
        assert "there is no such file, which connections_file names" in held.json()["why"]
        assert console.post("/v1/connections/contoso/hold", json={"reason": "stop"}).status_code == 200
        assert console.post("/v1/connections/cronus/reopen").status_code == 200
        listed.write_text("name,tenant_id\n")
        wait_until(lambda: console.post("/v1/connections/cronus/hold").status_code == 404, 20, "it is read")


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/v1/jobs/nosuch", "no job has this id. An id is given whole, in small letters."),
        ("POST", "/v1/jobs/NO-SUCH/cancel", "no job has this id."),
        ("GET", "/v1/jobs/aaaaaaaaaa/results.txt", "."),
        ("GET", "/v1/submissions/nosuch", "no submission has this id. An id is given whole, in small letters."),
        ("POST", "/v1/connections/No.Such/check", "no connection is called so."),
    ],
)
def test_a_name_that_nothing_can_have_is_not_found(console: Console, method: str, path: str, said: str) -> None:
    """However it is spelt: a program that asks for what is not there is told 404."""
    answer = console.ask(method, path)
    assert answer.status_code == 404
    assert said in answer.json()["detail"]


def test_redis_that_is_away_is_told(own_site: Site, own_valkey: OwnValkey) -> None:
    """Nobody waits long for it, and the answer says when to ask again."""
    with run_console(own_site) as console:
        own_valkey.kill()
        answer = console.get("/healthz")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "Redis" in answer.json()["detail"]
        own_valkey.start_again()
        assert console.get("/healthz").status_code == 200


@pytest.mark.parametrize("processes", ["1", "2"])
def test_server_ends_when_it_is_told_to(site: Site, processes: str) -> None:
    """SIGTERM ends it in order, one process or several."""
    with run_console(site, "--processes", processes, real=True) as console:
        assert console.get("/healthz").status_code == 200
        console.process.send_signal(signal.SIGTERM)
        assert console.process.wait(60) == 0
        assert "Traceback" not in console.log.read_text()


def test_port_that_is_taken_is_one_sentence(site: Site) -> None:
    """Nothing is started, and the sentence says what to choose."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = site.run("serve", "--port", str(taken.getsockname()[1]))
    assert ended.status == 2
    assert "--port" in ended.err


def test_nothing_is_served_to_the_network_without_a_sign_in(site: Site) -> None:
    """Whoever can reach it could do anything."""
    ended = site.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.status == 2
    assert "nobody would have to sign in" in ended.err
