"""The Graph SDK with `$batch`: twenty invitations a call, eight calls at a time."""

from __future__ import annotations

import asyncio

from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

from benchmarks.peers.common import Task, read_task, tell, wait_for_go
from benchmarks.peers.sdk import build_client, build_invitation

AT_ONCE, ITEMS = 8, 20


async def main(task: Task) -> None:
    """Invite everybody."""
    client = build_client(task)
    await client.invitations.post(build_invitation(task, 0))
    builder = BatchRequestBuilder(client.request_adapter)
    wait_for_go()
    places = asyncio.Semaphore(AT_ONCE)

    async def invite(first: int) -> int:
        async with places:
            items = [
                BatchRequestItem(client.invitations.to_post_request_information(build_invitation(task, n)))
                for n in range(first, min(first + ITEMS, task.rows + 1))
            ]
            for item in items:
                item.url = "/invitations"  # the SDK makes only the paths of Microsoft's own hosts relative
            answer = await builder.post(BatchRequestContent({item.id: item for item in items}))
            return sum(answer.get_response_by_id(item.id).status == 201 for item in items)

    outcomes = await asyncio.gather(*(invite(n) for n in range(1, task.rows + 1, ITEMS)), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    invited = sum(outcome for outcome in outcomes if isinstance(outcome, int))
    tell(invited, task.rows - invited)


if __name__ == "__main__":
    asyncio.run(main(read_task()))
