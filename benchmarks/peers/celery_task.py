"""One Celery task an invitation, with `autoretry_for`, a prefork worker and a Redis broker: how it
is usually put into a queue.
"""

from __future__ import annotations

import os
import subprocess
import sys

import msal
import requests
from celery import Celery, group

from benchmarks.peers.common import Task, read_task, tell, wait_for_go

app = Celery("peer", broker=os.environ.get("PEER_REDIS"), backend=os.environ.get("PEER_REDIS"))
app.conf.update(worker_prefetch_multiplier=4, task_acks_late=True)
_session = requests.Session()


def _sign_in(task: Task) -> requests.Session:
    if "Authorization" not in _session.headers:
        client = msal.ConfidentialClientApplication(
            task.client_id,
            client_credential=task.client_secret,
            authority=task.authority,
            instance_discovery=False,
        )
        token = client.acquire_token_for_client([task.scope])["access_token"]
        _session.headers["Authorization"] = f"Bearer {token}"
    return _session


@app.task(name="peer.invite", autoretry_for=(requests.RequestException,), retry_backoff=True)
def invite(number: int) -> int:
    """Invite one guest."""
    task = read_task()
    answer = _sign_in(task).post(f"{task.graph_url}/invitations", json=task.invitation(number))
    answer.raise_for_status()
    return answer.status_code


def main(task: Task) -> None:
    """Start a worker, enqueue everybody, wait for all results."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_task", "worker", "-c", "2", "-l", "ERROR"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        group(invite.s(-n) for n in range(8)).apply_async().get(timeout=60)
        wait_for_go()
        answers = group(invite.s(n) for n in range(1, task.rows + 1)).apply_async().get(timeout=600)
        tell(answers.count(201), task.rows - answers.count(201))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main(read_task())
