"""One command may submit a list through many connections: a job each, one submission."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from worker.ledger.scripts import InLedger

SUBMISSION = "submission"
"""Where a job's `info` names the submission that it belongs to."""
_BEGINS = "s-"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def new_submission_id() -> str:
    """Return a fresh id, which no job can have."""
    return submission_id("".join(secrets.choice(_LETTERS) for _ in range(10)))


def submission_id(letters: str) -> str:
    """Return the id that has these letters."""
    return _BEGINS + letters


def is_submission(text: str) -> bool:
    """Tell whether an id is a submission's, and no job's."""
    return text.strip().lower().startswith(_BEGINS)


class Submissions(InLedger):
    """The submissions in the ledger. Each is kept as long as the job of it that is kept longest."""

    async def note(self, submission: str, jobs: Mapping[str, str]) -> None:
        """Remember which jobs belong together, and the connection of each."""
        await self._client.hset(self._keys.submission(submission), mapping=dict(jobs))

    async def jobs(self, submission: str) -> dict[str, str]:
        """Return its jobs with their connections, by the connections' names; last the one that is
        nobody's (`channels.NOBODYS`).
        """
        found = await self._client.hgetall(self._keys.submission(submission))
        told = ((job.decode(), connection.decode()) for job, connection in found.items())
        return dict(sorted(told, key=lambda pair: (not pair[1], *pair[::-1])))

    async def matching(self, start: str, *, most: int = 10) -> list[str]:
        """Return ids that begin so, `most` at most, with one letter or digit of their own."""
        letters = start.removeprefix(_BEGINS)
        if not letters.isalnum() or not letters.isascii():
            return []
        found = set[str]()
        prefix = self._keys.submission("")
        async for raw in self._client.scan_iter(match=f"{self._keys.submission(start)}*", count=1000):
            found.add(raw.decode().removeprefix(prefix))
            if len(found) >= most:
                break
        return sorted(found)

    async def drop(self, submission: str, job: str) -> None:
        """Leave a job out that is deleted; without any the submission is gone."""
        await self._client.hdel(self._keys.submission(submission), job)

    async def forget_connection(self, name: str) -> int:
        """Leave a connection out everywhere: a job of it may have expired before the submission.
        Returns how many there were.
        """
        left = 0
        async for key in self._client.scan_iter(match=self._keys.submission("*"), count=1000):
            jobs = [job for job, connection in (await self._client.hgetall(key)).items() if connection == name.encode()]
            left += await self._client.hdel(key, *jobs) if jobs else 0
        return left

    async def expire(self, submission: str, keep_s: float) -> None:
        """Give a submission its expiry, if none of its jobs goes on."""
        jobs = await self.jobs(submission)
        async with self._client.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hmget(self._keys.job(job), "state", "finished_at")
            stand = await pipe.execute()
        if all(finished or not state for state, finished in stand):
            await self._client.expire(self._keys.submission(submission), round(keep_s))
