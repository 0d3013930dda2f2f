"""Every Redis key of the ledger is built here and nowhere else; each has its type and meaning
beside it.

Times in Redis are whole milliseconds on Redis's own clock. `{c}` is a channel's name, `{j}` a job
id, `{n}` a chunk number. A channel's name is its connection's own for invitations
(`worker/channels.py`), and keys are called so: `connection:{c}`. A *ticket* is the text
`{j}:{n}:{fence}:{c}:{lane}`: it names one offer, then the lease that grew from it. Its fence is
never used again, so a ticket found twice (a message delivered twice) is a ticket already spent.

The Lua scripts that walk from one key to the next (`tick`, `give_back`) build names by the same
patterns, in `scripts/_common.lua`.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = 1
"""Version of everything below. A worker leaves data of a newer one alone."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix (`[ledger].prefix`, "usher" unless told)."""

    prefix: str = "usher"

    def schema(self) -> str:
        """string: SCHEMA, written by the first process that finds none."""
        return f"{self.prefix}:schema"

    # Jobs

    def jobs(self) -> str:
        """zset: job id → created at."""
        return f"{self.prefix}:jobs"

    def job(self, job: str) -> str:
        """hash: connection (the channel), lane, state, why, rows, chunks, next (chunk), limit
        (chunks that may run: a pilot), pilot (ended rows at which it pauses),
        `n:i n:g n:k n:f n:u` (finished rows by outcome), open (rows on the wire or in doubt),
        created_at, started_at, finished_at, options (JSON), info (JSON: who submitted what), maker
        (of the call that made it), approval (absent: none asked for; wanted; else who gave it),
        pause (why it is paused once approved), servers (met when it was made: `epoch`).

        Of a root job: stages (names of operations), fed (set once no row of it can feed them any
        more). Of a stage, whose id is `{root}~{operation}`: root, asked (guests that ask for it),
        gathered (items put into chunks), `g:i … g:u` (finished guests by outcome), slice (items a
        chunk), apart (1: a chunk is of one target), patience (ms for which items are gathered),
        waits (what some of its guests wait for: `note_wait`), known (a `w…` is: `stage_guests`).
        """
        return f"{self.prefix}:job:{job}"

    def back(self, job: str) -> str:
        """zset: chunk number, given back with rows left to send → when it may be offered again."""
        return f"{self.prefix}:job:{job}:back"

    def chunk(self, job: str, number: int) -> str:
        """hash: base (number of its first row), rows (blob), st (a letter a row, `model.RowState`),
        at (a digit a row: attempts), pc and pe (when it was looked up before the first send, under
        which server), ph (absent waiting, o offered, l leased, x nothing left to send), nb (last
        batch begun), `b{k}` (a batch on the wire: its time, its rows, its call), `o{k}` and `l{k}`
        (blobs of outcomes and of sealed links), `d{i}` (a row in doubt: the time of its attempt),
        `f{i}` (a row that was in doubt and is sent again: when first).
        """
        return f"{self.prefix}:chunk:{job}:{number}"

    def job_targets(self, job: str) -> str:
        """hash, of a root job: `kind|name` → the group, team or sponsor of that name (JSON,
        `worker/ledger/job_targets.py`).
        """
        return f"{self.prefix}:job:{job}:targets"

    def stage_guests(self, stage: str, chunk: int) -> str:
        """hash, of a stage and a chunk of its root: st (a letter a row of the root, '-' where it is
        not asked for), `{i}` (of a guest with items that have not ended: how many, and the worst
        letter so far), `m{i}` (why it failed), `w{i}:{SHA-1 of target}` (of an item whose chunk a
        failover lost: when it was sent, or how it ended).
        """
        return f"{self.prefix}:stage:{stage}:{chunk}"

    def gathering(self) -> str:
        """zset: stage → when the first of its lists becomes a chunk (`scripts/_jobs.lua`)."""
        return f"{self.prefix}:gathering"

    def lists(self, stage: str) -> str:
        """zset, of a stage: list, one a target or one for all → when it becomes a chunk."""
        return f"{self.prefix}:job:{stage}:gathering"

    def gathered(self, stage: str, name: str) -> str:
        """list, of a stage: items as JSON, addresses in them."""
        return f"{self.prefix}:job:{stage}:gathered:{name}"

    def ending(self) -> str:
        """set: ended jobs whose keys, and their stages', still have to be given their expiry."""
        return f"{self.prefix}:ending"

    def loading(self) -> str:
        """zset: job that is loading → when its maker was last heard of."""
        return f"{self.prefix}:loading"

    def follow(self, job: str) -> str:
        """string that expires soon: the process that follows a private job; else it was left."""
        return f"{self.prefix}:follow:{job}"

    def taking(self, job: str) -> str:
        """string that expires soon: the server that takes in the list of this job."""
        return f"{self.prefix}:taking:{job}"

    def submission(self, submission: str) -> str:
        """hash: job → connection, of jobs that one command submitted (`submissions.py`)."""
        return f"{self.prefix}:submission:{submission}"

    # Lists that nobody has submitted yet

    def upload(self, upload: str) -> str:
        """hash with an expiry: owner, name, size, blocks, looked, of a list sent to the console."""
        return f"{self.prefix}:upload:{upload}"

    def upload_block(self, upload: str, number: int) -> str:
        """string with an expiry: a part of such a list, compressed and sealed."""
        return f"{self.prefix}:upload:{upload}:{number}"

    # Connections

    def connections(self) -> str:
        """set: names of channels that ever had a job."""
        return f"{self.prefix}:connections"

    def connection(self, name: str) -> str:
        """hash, of a channel: gate (open if absent, held), kind, why, since, probe_at and probe_ms
        (half-open), fingerprint (of a refused credential), closed_until and closed_why (throttled),
        away_until and away_why (not reached; only shown), spare and spare_at and rate (tokens seen
        at the last batch), finished (jobs).

        Counted for ever, whatever becomes of the jobs: accepted (rows), `ended:{letter}` (rows by
        outcome, `c` cancelled), `resolved:{letter}` (rows that were in doubt), throttled (429s),
        closed_ms; credential_ends (a time); tenant (the key of its last job's).
        """
        return f"{self.prefix}:connection:{name}"

    def last_seen(self, name: str) -> str:
        """hash with a long expiry, of a connection: `{guests|secrets|due}:{field}` → number, and
        `:at` (`worker/ledger/guests/last_seen.py`).
        """
        return f"{self.prefix}:connection:{name}:last-seen"

    def rotation(self, name: str) -> str:
        """list: bulk jobs of a channel that have chunks to offer, in turn."""
        return f"{self.prefix}:connection:{name}:jobs"

    def rotation_now(self, name: str) -> str:
        """list: interactive jobs of a channel that have chunks to offer."""
        return f"{self.prefix}:connection:{name}:jobs-now"

    def doubts(self, name: str) -> str:
        """zset: `{j}:{n}:{i}` of each row in doubt → when to look it up."""
        return f"{self.prefix}:connection:{name}:doubts"

    def hold_all(self) -> str:
        """hash: why, since, kind (`gates.HoldReason`): every connection is held."""
        return f"{self.prefix}:hold"

    def tenant(self, tenant_key: str) -> str:
        """hash: why, since: Microsoft blocks invitations here; only a person reopens it."""
        return f"{self.prefix}:tenant:{tenant_key}"

    def held_as(self, tenant_key: str) -> str:
        """set: connections of a tenant that an operator held, some of them reopened since."""
        return f"{self.prefix}:held-as:{tenant_key}"

    def tenant_ids(self) -> str:
        """hash: tenant key with a domain → its id, found out when (s; `signin/tenant_ids.py`)."""
        return f"{self.prefix}:tenant-ids"

    # The dispatcher

    def due(self) -> str:
        """zset: channel → when it can use a seat again (bulk)."""
        return f"{self.prefix}:due"

    def due_now(self) -> str:
        """zset: channel → when its interactive work can use a seat again."""
        return f"{self.prefix}:due-now"

    def due_doubts(self) -> str:
        """zset: channel → when its first row in doubt is to be looked up."""
        return f"{self.prefix}:due-doubts"

    def offers(self) -> str:
        """zset: ticket → when the offer is void."""
        return f"{self.prefix}:offers"

    def leases(self) -> str:
        """zset: ticket → when the lease ends unless renewed."""
        return f"{self.prefix}:leases"

    def seats_of(self) -> str:
        """hash: channel → seats it has in use (offered or leased)."""
        return f"{self.prefix}:seats-of"

    def offered_of(self) -> str:
        """hash: channel → offers nobody has claimed yet."""
        return f"{self.prefix}:offered-of"

    def fence(self) -> str:
        """string: the last fence given out."""
        return f"{self.prefix}:fence"

    def healed(self) -> str:
        """string: when somebody last ran `heal`. With `:up-to`, string: how far it got (SSCAN)."""
        return f"{self.prefix}:healed"

    def workers(self) -> str:
        """zset: worker → last seen."""
        return f"{self.prefix}:workers"

    def worker_seats(self) -> str:
        """hash: worker → its seats for chunks."""
        return f"{self.prefix}:worker-seats"

    def beat(self) -> str:
        """Beginning of RedBeat's names: `:schedule` (zset: entry's key → when it is due), `:lock`
        (of the beat at work), and an entry's hash each.
        """
        return f"{self.prefix}:redbeat"

    def meters(self) -> str:
        """hash: `name|connection|label` → what workers counted, once a second (`meters.py`)."""
        return f"{self.prefix}:meters"

    # Epochs

    def epoch(self) -> str:
        """hash: id (of the server that was met last), n (epoch), servers (met so far), beat (last
        time any worker was here), lost_at (that of
        the epoch before), quiet_until (nothing is sent), settle_from (no row is given up), vouched
        and unsure (whether somebody remembers), restored_from (last beat of a backup that was
        restored and is neither verified nor let go by a person).
        """
        return f"{self.prefix}:epoch"

    def here(self) -> str:
        """zset: process of a worker → last heard of. One that ends in peace leaves."""
        return f"{self.prefix}:here"

    def awaited(self) -> str:
        """set: processes that were at work before this epoch and have not come in yet."""
        return f"{self.prefix}:awaited"

    def programs(self) -> str:
        """hash: worker or beat → what it said of itself (JSON, `programs/running_programs.py`)."""
        return f"{self.prefix}:programs"

    # Who is told of jobs

    def notices(self) -> str:
        """zset: job that somebody is told of → when to look at it again."""
        return f"{self.prefix}:notices"

    def notice(self, job: str) -> str:
        """hash: to (webhook), from (who named it), held (the hold that was told), out (events not
        taken yet, JSON), tries.
        """
        return f"{self.prefix}:notice:{job}"

    # Schedules, the first two as celery-redbeat lays them out

    def timetable(self) -> str:
        """zset: name of a schedule's hash → when it is due next, in seconds."""
        return f"{self.prefix}:redbeat:schedule"

    def schedule(self, name: str) -> str:
        """hash: definition and meta (celery-redbeat's JSON), off (switched off by hand)."""
        return f"{self.prefix}:redbeat:entry:{name}"

    def schedule_members(self, name: str) -> str:
        """string (JSON): the connections among which the last beat went round."""
        return f"{self.prefix}:redbeat:members:{name}"

    def schedule_runs(self, whose: str) -> str:
        """hash: due (milliseconds) → what became of that run (JSON,
        `worker.ledger.timetable.ScheduledRun`), the newest. `whose`: `run_of` there.
        """
        return f"{self.prefix}:schedule:{whose}:runs"

    def schedule_latest(self, name: str) -> str:
        """hash: connection → due and status of its last run (JSON), of a schedule over several."""
        return f"{self.prefix}:schedule:{name}:latest"

    def schedule_claim(self, whose: str, due_ms: int) -> str:
        """string with a short expiry, renewed: the worker that is at this run."""
        return f"{self.prefix}:schedule:{whose}:claim:{due_ms}"

    # The index of guests

    def index(self, tenant_key: str) -> str:
        """Beginning of the names of a tenant's hashes; `:{generation}:{bucket}` follows, or
        `:{generation}:all` (string: there is anything of it), or `:claims:all` (hash: guest →
        `{j}:{n}:{i}:{time}`, the row that is on the wire for them since then). See
        `guests/guest_index.py`, `scripts/_index.lua`.
        """
        return f"{self.prefix}:index:{tenant_key}"

    @staticmethod
    def reminders(index: str) -> str:
        """hash, of a tenant: guest who was reminded → `{times}:{last at}:{j}:{at before}`."""
        return f"{index}:reminded"

    def disabled(self, tenant_key: str) -> str:
        """hash: a guest's object id → when and by which job usher disabled them (`Disabled`)."""
        return f"{self.prefix}:disabled:{tenant_key}"

    def moving(self, tenant_key: str) -> str:
        """hash: a guest's object id → when their address began to change (`guests/moving.py`)."""
        return f"{self.prefix}:moving:{tenant_key}"

    def told_ends(self, tenant_key: str) -> str:
        """hash: `{object id}/{day}` → the job that told of this end (`guests/reminders.py`)."""
        return f"{self.prefix}:told-ends:{tenant_key}"

    def index_key(self) -> str:
        """string: the key of the index's hashes, sealed where there is a ledger key."""
        return f"{self.prefix}:index-key"

    def index_opened(self) -> str:
        """string with a short expiry: a worker opened the index's key (`programs/key_hold.py`)."""
        return f"{self.prefix}:index-key:opened"

    def index_names(self) -> str:
        """hash: tenant key → its index's of an earlier usher, with a domain name in it."""
        return f"{self.prefix}:index-names"

    def index_tenants(self) -> str:
        """set: every tenant key that addresses were ever hashed for, where people are found."""
        return f"{self.prefix}:index-tenants"

    def erased(self) -> str:
        """hash: n (erasures), begun (rewriting the append-only file: n then, server), done (n)."""
        return f"{self.prefix}:erased"

    # The audit trail

    def audit_events(self, generation: int) -> str:
        """stream: `e` (JSON: what, by, facts), one entry an event; a generation is 30 days, its
        keys expire (`worker/ledger/audit/trail.py`).
        """
        return f"{self.prefix}:audit:{generation}:events"

    def audit_rows(self, generation: int) -> str:
        """hash: `{j}:{n}` → what was done to that chunk's rows (`audit/row_entries.py`)."""
        return f"{self.prefix}:audit:{generation}:rows"

    # Quota

    def bucket(self, scope: str) -> str:
        """hash, by the names of `BUCKET` in `scripts/_quota.lua`; it expires when it is full.

        | field | name | holds |
        |---|---|---|
        | l, t | level, at | tokens, and when there were so many |
        | c | closed | until when a 429 closed it |
        | n | taken | tokens ever taken and not refused |
        | r, rt, u | rate, rate_at, doubt | tokens a ms that 429s taught, when, how uncertain |
        | e, en | refused_at, taken_then | the last 429: when, and what `taken` was then |
        | a | counted_from | where counting began: `f` (full) or `e` (empty), `taken`, when |
        | p | trying | the next row is a try, alone |
        | x | kept_until | a little is kept unspent until then (`used.lua`) |
        | w, wa | left_full_at, answer_then | when rows left a full one, an answer's time then |
        | q | line_until | until then somebody may stand in `:line`, `:line-due` (zsets, there) |
        """
        return f"{self.prefix}:quota:{scope}"

    def daily(self, client_key: str) -> str:
        """string: invitations sent, by UTC day; the script appends the date."""
        return f"{self.prefix}:daily:{client_key}"

    # Who asks from outside

    def producer_day(self, producer: str, kind: str = "producer") -> str:
        """hash, the day appended by the script: job → its rows, n (`programs/producer_days.py`)."""
        return f"{self.prefix}:{kind}:{producer}"

    def tokens_needed(self) -> str:
        """string: since when programs need a token (`programs/token_need.py`)."""
        return f"{self.prefix}:tokens-needed"

    def console(self, part: str) -> str:
        """Of `console/access/`: session:{hash}, flow:{hash} (a sign-in), refused:{address}."""
        return f"{self.prefix}:console:{part}"

    # Tokens

    def token(self, client_key: str) -> str:
        """string: an access token, sealed, with its credential's fingerprint; expires with it."""
        return f"{self.prefix}:token:{client_key}"

    def token_lock(self, client_key: str) -> str:
        """string with a short expiry: the process that is asking Entra for this client's token."""
        return f"{self.prefix}:token:{client_key}:lock"
