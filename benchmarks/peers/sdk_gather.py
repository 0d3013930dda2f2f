"""The Graph SDK with `asyncio.gather`, fifty calls at a time: more at once only makes it slower."""

from __future__ import annotations

import asyncio

from benchmarks.peers.common import Task, read_task, tell, wait_for_go
from benchmarks.peers.sdk import build_client, build_invitation

AT_ONCE = 50


async def main(task: Task) -> None:
    """Invite everybody."""
    client = build_client(task)
    await client.invitations.post(build_invitation(task, 0))
    wait_for_go()
    places = asyncio.Semaphore(AT_ONCE)

    async def invite(number: int) -> bool:
        async with places:
            answer = await client.invitations.post(build_invitation(task, number))
            return answer is not None and answer.id is not None

    outcomes = await asyncio.gather(*(invite(n) for n in range(1, task.rows + 1)), return_exceptions=True)
    invited = sum(outcome is True for outcome in outcomes)
    tell(invited, task.rows - invited)


if __name__ == "__main__":
    asyncio.run(main(read_task()))
