"""Invite a guest, with only `celery[redis]`: python portal.py CONNECTION ADDRESS [field=value …]"""

import os
import sys
from uuid import uuid4

from celery import Celery

usher = Celery("portal", broker=os.environ.get("USHER_BROKER"), backend=os.environ.get("USHER_RESULTS"))
usher.conf.broker_transport_options = {"global_keyprefix": "usher:mq:"}
usher.conf.result_backend_transport_options = {"global_keyprefix": "usher:res:"}


def invite(connection, email, wait_s=20, **fields):
    """Return usher's answer; the same task id again is the same guest, never a second e-mail."""
    given = {"connection": connection, "email": email, "wait_s": float(wait_s), "version": 1, **fields}
    own = {"task_id": f"portal-{uuid4()}", "argsrepr": "(…)", "kwargsrepr": "{…}"}
    return usher.send_task("usher.invite_guest", kwargs=given, **own).get(timeout=float(wait_s) + 15)


if __name__ == "__main__":
    if len(sys.argv) < 3 or not all("=" in pair for pair in sys.argv[3:]):
        sys.exit("usage: python portal.py CONNECTION ADDRESS [field=value …]")
    if missing := [name for name in ("USHER_BROKER", "USHER_RESULTS") if not os.environ.get(name)]:
        sys.exit(f"{' and '.join(missing)} must be set: the URLs of usher's broker and results (README.md)")
    match invite(*sys.argv[1:3], **dict(pair.split("=", 1) for pair in sys.argv[3:])):
        case {"status": "refused", "errors": errors}:
            sys.exit(f"refused: {' '.join(errors)}")
        case {"status": "pending", "job": job, "why": why}:
            print(f"pending in job {job}: {why}")
        case {"status": status, **more}:
            print(f"{status}: {more['error_message'] or more['user_id']}")
