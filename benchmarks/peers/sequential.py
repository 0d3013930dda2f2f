"""The script that most administrators have: MSAL for a token, `requests` for one invitation after
the other.
"""

from __future__ import annotations

import msal
import requests

from benchmarks.peers.common import Task, read_task, tell, wait_for_go


def main(task: Task) -> None:
    """Invite everybody, one after the other, over one connection."""
    session = requests.Session()
    app = msal.ConfidentialClientApplication(
        task.client_id,
        client_credential=task.client_secret,
        authority=task.authority,
        instance_discovery=False,
    )
    token = app.acquire_token_for_client([task.scope])["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    url = f"{task.graph_url}/invitations"
    session.post(url, json=task.invitation(0)).raise_for_status()
    wait_for_go()
    answers = [session.post(url, json=task.invitation(n)).status_code for n in range(1, task.rows + 1)]
    tell(answers.count(201), len(answers) - answers.count(201))


if __name__ == "__main__":
    main(read_task())
