"""Commands that are stopped, killed or left alone: what becomes of their jobs."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time

import pytest

from tests.places import JOB, Place, Result, Typist
from tests.processes import USHER, running, wait_until
from worker.stack.folders import find_folders


def test_ctrl_c_pauses_and_resume_goes_on(place: Place) -> None:
    """It says what went out; each guest is invited once in the end."""
    typist = Typist(place, "invite", place.guests(320, "stop"), "-c", "sandbox")
    typist.read_until(" invited")
    typist.type("\x03")
    done = typist.end()
    assert done.status == 3
    assert "Stopped by Ctrl-C: " in done.out
    found = re.search(r"usher jobs resume ([a-z2-7]{10})", done.out)
    assert found is not None
    shown = json.loads(place.usher("jobs", "show", found[1], "--json").out)
    assert (shown["state"], shown["pending"] + shown["invited"]) == ("paused", 320)
    assert shown["elapsed_s"] > 0
    assert shown["pending"] > 0
    told = place.usher("jobs", "resume", found[1], "--json")
    assert (told.status, told.job["invited"]) == (0, 320)


def test_ctrl_c_in_a_watch_only_ends_the_watching(place: Place) -> None:
    """The job goes on for the command that submitted it, and is still that command's."""
    guests = place.guests(400, "watched")
    argv = [*USHER, "invite", guests, "-c", "contoso", "--json"]
    process = subprocess.Popen(
        argv, env=place.env, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = process.stderr
        assert said is not None
        job = wait_until(lambda: JOB.search(said.readline()), 30, "a job")[1]
        watching = Typist(place, "jobs", "watch", job)
        watching.read_until(" of 400")
        watching.type("\x03")
        watched = watching.end()
        assert (watched.status, f"usher jobs watch {job}" in watched.out, "aus" in watched.out) == (3, True, False)
        assert place.usher("jobs", "list").status == 0  # which pauses what nobody follows
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, json.loads(out)["invited"]) == (0, 400)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_pauses_too(place: Place, sign: signal.Signals) -> None:
    """Without a terminal: one object, status 3, and the job can be cancelled for good."""
    argv = [*USHER, "invite", place.guests(320, f"s{sign.value}x"), "-c", "sandbox", "--json"]
    with subprocess.Popen(argv, env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: process.stderr and "Job " in process.stderr.readline(), 20, "the job's id")
        time.sleep(1.0)
        process.send_signal(sign)
        out, err = process.communicate(timeout=40)
    done = Result(process.returncode, out, err)
    assert (done.status, done.job["state"]) == (3, "paused")
    assert done.job["pending"] > 0
    cancelled = place.usher("jobs", "cancel", done.job["job"])
    assert "is cancelled" in cancelled.out
    assert "Cancelled" in place.usher("jobs", "list").out.splitlines()[0].split(), "else its rows do not add up"
    assert place.usher("jobs", "resume", done.job["job"]).status == 2


def test_nohup_outlives_its_terminal(place: Place) -> None:
    """What is started so goes on where its terminal ends."""
    argv = ["nohup", *USHER, "invite", place.guests(320, "nohup"), "-c", "sandbox", "--json"]
    with subprocess.Popen(argv, env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: process.stderr and "Job " in process.stderr.readline(), 20, "the job's id")
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=60)
    done = Result(process.returncode, out, err)
    assert (done.status, done.job["invited"]) == (0, 320)


def test_a_killed_commands_job_is_paused_and_named(own_place: Place) -> None:
    """The next command's worker does not go on with it unasked."""
    argv = [*USHER, "invite", own_place.guests(600, "killed"), "-c", "sandbox", "--json"]
    with subprocess.Popen(
        argv, env=own_place.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = wait_until(lambda: JOB.search(process.stderr.readline() if process.stderr else ""), 20, "the job's id")
        time.sleep(1.5)
        process.kill()
    done = own_place.usher("invite", "next@example.org", "-c", "sandbox", "--json")
    assert done.status == 0
    assert f"1 unfinished job from before: {line[1]} (paused, " in done.err
    assert f"usher jobs resume {line[1]}" in done.err
    assert json.loads(own_place.usher("jobs", "show", line[1], "--json").out)["state"] == "paused"


def test_with_usher_up_a_job_is_left_running(own_place: Place) -> None:
    """--detach returns at once with status 3 and the job ends by itself; under nohup also where the
    terminal has ended.
    """
    log = own_place.folder / "up.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = own_place.env | {"FLOWER_PORT": str(port)}
    with running(("nohup", *USHER, "up", "--console"), log, env, own_place.folder) as up:
        wait_until(lambda: "  Web " in log.read_text(), 40, "usher up")  # 127.0.0.1:8080, or that it is taken
        up.send_signal(signal.SIGHUP)
        done = own_place.usher("invite", own_place.guests(50, "left"), "-c", "contoso", "--detach", "--json")
        assert (done.status, done.job["rows"]) == (3, 50)
        watched = own_place.usher("jobs", "watch", done.job["job"], "--json")
        assert (watched.status, watched.job["invited"]) == (0, 50)
    said = [line for line in log.read_text().splitlines() if not line.startswith("nohup:")]
    assert [line.split()[0] for line in said] == ["Ready.", "Pages", "Next", "Logs", "Redis", "Web", "Ending:"], (
        "and no line of Celery's"
    )
    assert f"http://127.0.0.1:{port}" in said[1]
    assert "usher invite" in said[2]
    logs = find_folders(own_place.env).logs
    assert str(logs) in said[3]
    assert "ready." in (logs / "worker.log").read_text()
