-- Shared by every script: put in front of it when it is loaded. Key patterns are those of worker/ledger/keys.py.
-- Row letters (worker/ledger/model.py): '.' pending, 'q' pending without mail, 's' sending, 'd' in doubt;
-- final: 'i' invited, 'g' already a guest, 'k' skipped, 'f' failed, 'u' reported in doubt.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Which server this is. After a restart, or a failover to a replica and even back again, it is another one (epoch.lua).
local function server_id()
  local info = redis.call('INFO', 'server', 'replication')
  local function value_of(name) -- each has 40 digits; a plain search costs a fraction of a pattern's
    local _, ends = string.find(info, name, 1, true)
    return ends and string.sub(info, ends + 1, ends + 40) or ''
  end
  return value_of('run_id:') .. ':' .. value_of('master_replid:')
end

-- Whether what others know is still to come (epoch.lua): until then rows that have left may look pending, and nothing may be made of that.
local function is_quiet(prefix)
  local epoch = redis.call('HMGET', prefix .. ':epoch', 'id', 'quiet_until')
  return epoch[1] and (epoch[1] ~= server_id() or epoch[2])
end

-- Nobody was here for so long: those who come back may still bring what they heard meanwhile.
local SILENT_MS = 10000

-- Probation: so many clean batches since its gate opened, one in flight at a time, and a connection is trusted (worker/ledger/gates.py).
local TRUSTED_AFTER = 5
local function is_on_probation(clean)
  return (tonumber(clean) or 0) < TRUSTED_AFTER
end

-- A ticket is job:chunk:fence:connection:lane.
local function parse_ticket(ticket)
  local job, chunk, fence, connection, lane = string.match(ticket, '^([^:]*):([^:]*):([^:]*):([^:]*):([^:]*)$')
  return { job = job, chunk = chunk, fence = fence, connection = connection, lane = lane }
end

local function is_final(letter)
  return letter == 'i' or letter == 'g' or letter == 'k' or letter == 'f' or letter == 'u'
end

local function is_pending(letter)
  return letter == '.' or letter == 'q'
end

local function replace_at(text, index, letter) -- index counts from 0
  return string.sub(text, 1, index) .. letter .. string.sub(text, index + 2)
end

local function letter_at(text, index)
  return string.sub(text, index + 1, index + 1)
end

-- Whether the row at an index is pending, without cutting its letter out: this is asked for each row of each batch.
local PENDING, PENDING_SILENT = string.byte('.q', 1, 2)
local function is_pending_at(letters, index)
  local letter = string.byte(letters, index + 1)
  return letter == PENDING or letter == PENDING_SILENT
end

-- Replaces many letters at once: new is index → letter. (A chunk has 100 letters; a new string for each of twenty costs more.)
local function replace_all(text, new)
  local bytes = { string.byte(text, 1, -1) }
  for index, letter in pairs(new) do bytes[index + 1] = string.byte(letter) end
  return string.char(unpack(bytes))
end

local function rotation_of(prefix, connection, lane)
  if lane == 'i' then return prefix .. ':connection:' .. connection .. ':jobs-now' end
  return prefix .. ':connection:' .. connection .. ':jobs'
end

local function due_of(prefix, lane)
  if lane == 'i' then return prefix .. ':due-now' end
  return prefix .. ':due'
end

-- Puts a job among those its connection takes turns over, once, and makes the connection due.
local function enlist(prefix, job, connection, lane, at)
  local rotation = rotation_of(prefix, connection, lane)
  if not redis.call('LPOS', rotation, job) then redis.call('RPUSH', rotation, job) end
  redis.call('ZADD', due_of(prefix, lane), at, connection)
end

-- A seat of the connection is free again: it may use another one now, if a job of it waits. What its gate says is asked then.
local function make_due(prefix, connection, lane, now)
  if redis.call('EXISTS', rotation_of(prefix, connection, lane)) == 1 then
    redis.call('ZADD', due_of(prefix, lane), 'LT', now, connection)
  end
end

local function delist(prefix, job, connection, lane)
  redis.call('LREM', rotation_of(prefix, connection, lane), 0, job)
end

local function look_at(prefix, connection, member, at)
  redis.call('ZADD', prefix .. ':connection:' .. connection .. ':doubts', at, member)
  redis.call('ZADD', prefix .. ':due-doubts', 'LT', at, connection)
end

-- A channel is a connection, or connection+operation (worker/channels.py). What holds a connection as a whole (`gates.WHOLE`) holds
-- its channels. Returns why this channel's connection is held so, and when that may be tried (nil: only a person lifts it).
local WHOLE = { credential = true, abuse = true, operator = true, restored = true, key = true }
local function held_above(prefix, channel)
  local name = string.match(channel, '^([^+]+)%+')
  if not name then return end
  local gate = redis.call('HMGET', prefix .. ':connection:' .. name, 'gate', 'kind', 'probe_at')
  if gate[1] == 'held' and WHOLE[gate[2]] then return gate[2], tonumber(gate[3]) end
end

-- Ends a hold. What is waiting behind it becomes due by other ways.
local function open_gate(key)
  redis.call('HDEL', key, 'gate', 'kind', 'why', 'since', 'fingerprint', 'probe_at', 'probe_ms')
end

-- A batch on the wire, its field being "time,i,iq,i;nonce" (q: without mail; the nonce has no digits): row → time of its mark. Empty once it was recorded or given up.
local function rows_of_batch(key, field)
  local rows, at = {}, nil
  for part in string.gmatch(redis.call('HGET', key, field) or '', '%d+') do
    if at then rows[part] = at else at = part end
  end
  return rows
end

-- Rows of a batch whose answer will not come any more: each goes to the connection's list, to be looked up. Returns the new letters.
-- rows: as rows_of_batch says, where it was asked already.
local function doubt_batch(prefix, job, chunk, connection, field, letters, settle_ms, rows)
  local key = prefix .. ':chunk:' .. job .. ':' .. chunk
  for row, at in pairs(rows or rows_of_batch(key, field)) do
    if letter_at(letters, tonumber(row)) == 's' then
      letters = replace_at(letters, tonumber(row), 'd')
      redis.call('HSET', key, 'd' .. row, at)
      look_at(prefix, connection, job .. ':' .. chunk .. ':' .. row, tonumber(at) + settle_ms)
    end
  end
  redis.call('HDEL', key, field)
  return letters
end

-- Ends a job once nothing of it is left to happen. Returns its state.
local function settle_job(prefix, job, now, never_ran)
  local key = prefix .. ':job:' .. job
  local f = redis.call('HMGET', key, 'state', 'rows', 'n:i', 'n:g', 'n:k', 'n:f', 'n:u', 'open', 'pilot', 'connection', 'lane', 'finished_at')
  local state = f[1]
  if not state then return false end
  local final = 0
  for i = 3, 7 do final = final + (tonumber(f[i]) or 0) end
  if (state == 'running' or state == 'paused' or state == 'held') and final >= tonumber(f[2]) then
    state = 'done'
  elseif state == 'running' and f[9] and final >= tonumber(f[9]) then
    state = 'paused'
    redis.call('HSET', key, 'state', state, 'why', 'pilot')
  end
  if (state == 'done' or (state == 'cancelled' and (tonumber(f[8]) or 0) <= 0)) and not f[12] then
    redis.call('HSET', key, 'state', state, 'finished_at', string.format('%.0f', now))
    redis.call('SADD', prefix .. ':ending', job)
    delist(prefix, job, f[10], f[11])
    local ever = prefix .. ':connection:' .. f[10]
    if state == 'done' then redis.call('HINCRBY', ever, 'finished', 1) end
    if final < tonumber(f[2]) and not never_ran then redis.call('HINCRBY', ever, 'ended:c', tonumber(f[2]) - final) end
  end
  return state
end

-- Puts a chunk with rows left to send back among those to be offered, itself not before chunk_at, and its connection not before at.
-- Not that of a job that has ended or was deleted: the list would outlive it.
local function requeue(prefix, job, chunk, connection, lane, at, chunk_at)
  redis.call('HDEL', prefix .. ':chunk:' .. job .. ':' .. chunk, 'ph')
  local state = redis.call('HGET', prefix .. ':job:' .. job, 'state')
  if state ~= 'running' and state ~= 'paused' and state ~= 'held' then return end
  redis.call('ZADD', prefix .. ':job:' .. job .. ':back', chunk_at, chunk)
  if state == 'running' then enlist(prefix, job, connection, lane, at) end
end

-- Ends an offer or a lease: its seat is free, rows still marked sending are in doubt, rows left to send are offered again.
local function give_back(prefix, ticket, settle_ms, now, at, chunk_at)
  local t = parse_ticket(ticket)
  local seats = redis.call('HINCRBY', prefix .. ':seats-of', t.connection, -1)
  if seats <= 0 then redis.call('HDEL', prefix .. ':seats-of', t.connection) end
  if t.lane == 'd' then return end
  local key = prefix .. ':chunk:' .. t.job .. ':' .. t.chunk
  local letters = redis.call('HGET', key, 'st')
  if not letters then return end -- the job was deleted meanwhile
  if string.find(letters, 's', 1, true) then
    local fields = redis.call('HKEYS', key)
    for _, field in ipairs(fields) do
      if string.match(field, '^b%d+$') then
        letters = doubt_batch(prefix, t.job, t.chunk, t.connection, field, letters, settle_ms)
      end
    end
    redis.call('HSET', key, 'st', letters)
  end
  if string.find(letters, '[.q]') then
    requeue(prefix, t.job, t.chunk, t.connection, t.lane, at or now, chunk_at or now)
  else
    redis.call('HSET', key, 'ph', 'x')
    make_due(prefix, t.connection, t.lane, now)
  end
end

-- A bucket's fields (worker/ledger/keys.py says what each holds), by the names that the scripts use.
local BUCKET = {
  level = 'l', at = 't', closed = 'c', taken = 'n',
  rate = 'r', rate_at = 'rt', doubt = 'u', refused_at = 'e', taken_then = 'en', counted_from = 'a', trying = 'p',
  kept_until = 'x', left_full_at = 'w', answer_then = 'wa',
}

-- A nested token bucket. It fills at amount/window and never beyond amount; more slowly once 429s have shown that somebody else takes from it
-- too (throttled.lua): at the rate learned then, which grows for as long as it does no harm until it is the whole again.
-- Growth: at first by how uncertain the estimate was (doubt, a unit), then faster and faster; doubled after 58 units.
local GROWTH, UNIT_MS = 0.0003, 30000
-- Graph's full bucket stays full until the first request arrives there. So nothing comes in here either for as long as an answer takes
-- since the first rows left a full one (left_full_at): as long as was known then (answer_then) or is known now, whichever is less, for a burst makes answers slow.
-- answer_ms: as far as the caller knows; a second where nobody does, and at most. What is taken meanwhile leaves at where left_full_at is, so that what comes
-- in since then is counted once the time is known better.
-- Of a small bucket the rows on the wire weigh more than that.
local ANSWER_MS, LARGE = 1000, 100
local function bucket_read(key, amount, window_ms, now, answer_ms)
  local f = redis.call('HMGET', key, BUCKET.level, BUCKET.at, BUCKET.closed, BUCKET.taken, BUCKET.rate, BUCKET.rate_at, BUCKET.doubt,
    BUCKET.trying, BUCKET.kept_until, BUCKET.left_full_at, BUCKET.answer_then)
  local full = amount / window_ms
  local back = (tonumber(f[2]) or 0) - now
  if back > 0 then -- the clock was put back: all goes on from now, or nothing would come in, and what is closed stay so, until it has caught up
    for name, at in pairs({ at = f[2], closed = f[3], rate_at = f[6], kept_until = f[9], left_full_at = f[10] }) do
      if at then redis.call('HSET', key, BUCKET[name], string.format('%.0f', tonumber(at) - back)) end
    end
    f[2], f[3], f[6], f[10] = now, (tonumber(f[3]) or 0) - back, f[6] and tonumber(f[6]) - back, f[10] and tonumber(f[10]) - back
  end
  local k = { level = tonumber(f[1]), at = tonumber(f[2]), closed = tonumber(f[3]) or 0, taken = tonumber(f[4]) or 0, rate = full, trying = f[8] ~= false,
    answer = math.min(answer_ms or ANSWER_MS, ANSWER_MS) }
  if f[5] then
    local units = math.max(0, now - tonumber(f[6])) / math.min(window_ms, UNIT_MS)
    k.rate = math.min(full, tonumber(f[5]) * (1 + tonumber(f[7]) * units + GROWTH * units * units))
    k.learned = k.rate < full
  end
  if not k.level then
    k.level = amount
    return k
  end
  k.since = math.max(tonumber(f[2]), (tonumber(f[10]) or 0) + math.min(k.answer, tonumber(f[11]) or 0))
  k.level = math.min(amount, k.level + math.max(0, now - k.since) * k.rate) -- also where the limit was lowered meanwhile
  return k
end

-- taken counts what was taken. counted_from is where counting began for the next estimate: "f" when we last saw the bucket full, "e" at a 429, when it was empty.
local function bucket_store(key, level, window_ms, now)
  redis.call('HSET', key, BUCKET.level, string.format('%.6f', level), BUCKET.at, string.format('%.0f', now))
  redis.call('PEXPIRE', key, math.floor(window_ms) * 2 + 3600000)
end

local function bucket_take(key, k, tokens, amount, window_ms, now)
  local level, taken = k.level - tokens, string.format('%.3f', k.taken + tokens)
  if k.trying then
    level = 0 -- one row to see whether anything goes through; what we thought was there is not (throttled.lua)
  elseif k.level >= amount and now - k.closed > amount / k.rate then -- by nothing to do, not because a 429 closed it for so long
    redis.call('HSET', key, BUCKET.level, string.format('%.6f', level), BUCKET.at, string.format('%.0f', now), BUCKET.taken, taken,
      BUCKET.counted_from, string.format('f %.3f %.0f', k.taken, now), BUCKET.left_full_at, string.format('%.0f', now),
      BUCKET.answer_then, amount >= LARGE and k.answer or 0)
    redis.call('PEXPIRE', key, math.floor(window_ms) * 2 + 3600000)
    return
  end
  local at = not k.trying and k.since and k.since > now and k.at or now
  redis.call('HSET', key, BUCKET.level, string.format('%.6f', level), BUCKET.at, string.format('%.0f', at), BUCKET.taken, taken)
  if not k.at or now - k.at > 60000 then redis.call('PEXPIRE', key, math.floor(window_ms) * 2 + 3600000) end -- an hour: not for every batch
end

-- The index of guests (worker/ledger/guest_index.py): base is the tenant's beginning of names, hash 12 raw bytes.
-- base:{generation}:all says that there is anything of a generation, so that a tenant without an old one is not asked for it guest by guest.
-- (A script looks at one tenant's, so what it finds out about a generation is kept by its number.)
local GENERATION_MS = 30 * 86400000
local EVER_MS = 3650 * 86400000 -- what may have been written while `[ledger].remember` was at its longest
local generations = {} -- number → what its names begin with, or false where there is nothing of it
local function index_prefix(base, generation)
  local prefix = generations[generation]
  if prefix == nil then
    prefix = string.format('%s:%.0f:', base, generation)
    if redis.call('EXISTS', prefix .. 'all') == 0 then prefix = false end
    generations[generation] = prefix
  end
  return prefix
end

-- The generations that there are, newest first, of those in which something of the last so many milliseconds may be.
local function index_prefixes(base, now, remember_ms)
  local found = {}
  for g = math.floor(now / GENERATION_MS), math.floor((now - remember_ms) / GENERATION_MS), -1 do
    local prefix = index_prefix(base, g)
    if prefix then found[#found + 1] = prefix end
  end
  return found
end

local function index_place(prefix, hash)
  local high, low = string.byte(hash, 1, 2)
  return prefix .. high * 16 + math.floor(low / 16), string.sub(hash, 3)
end

local function hashes_of(text)
  local hashes = {}
  for k = 1, #text / 12 do hashes[k] = string.sub(text, k * 12 - 11, k * 12) end
  return hashes
end

-- An entry: when the guest was invited, in seconds, as four bytes; then by which job.
local function write_entry(now, job)
  return struct.pack('>I4', math.floor(now / 1000)) .. job
end

local function read_entry(entry)
  return struct.unpack('>I4', entry), string.sub(entry, 5)
end

-- Who of several guests was invited within the last so many milliseconds: their place in the list → "seconds:job".
local function index_read(base, hashes, now, remember_ms)
  local found = {}
  for _, prefix in ipairs(index_prefixes(base, now, remember_ms)) do
    for k = 1, #hashes do
      if not found[k] then
        local entry = redis.call('HGET', index_place(prefix, hashes[k]))
        local at, job
        if entry then at, job = read_entry(entry) end
        if at and now - at * 1000 <= remember_ms then found[k] = string.format('%.0f:', at) .. job end
      end
    end
  end
  return found
end

-- Notes that several guests were invited just now.
local function index_write(base, hashes, now, job, remember_ms)
  local generation, entry = math.floor(now / GENERATION_MS), write_entry(now, job)
  local ends = string.format('%.0f', (generation + 1) * GENERATION_MS + remember_ms + 86400000)
  local prefix = index_prefix(base, generation)
  if not prefix then
    prefix = string.format('%s:%.0f:', base, generation)
    redis.call('SET', prefix .. 'all', 1, 'PXAT', ends)
    generations[generation] = prefix
  end
  local keys, fields = {}, {}
  for k, hash in ipairs(hashes) do keys[k], fields[k] = index_place(prefix, hash) end
  local all_there = redis.call('EXISTS', unpack(keys)) == #keys -- and so have their expiry: nearly always, once a tenant has some guests
  for k, key in ipairs(keys) do
    if redis.call('HSET', key, fields[k], entry) == 1 and not all_there and redis.call('HLEN', key) == 1 then
      redis.call('PEXPIREAT', key, ends)
    end
  end
end

-- The claims on guests of a tenant, one hash: hash → job:chunk:row:time, the row that is on the wire or in doubt for this guest, and when it was marked.
-- Its field without a name holds more than Redis packs into a list, so that looking one up does not cost the more the more there are.
local CLAIMS_KEPT_APART = string.rep('-', 65) -- hash-max-listpack-value is 64
local CLAIMS_MS = 60 * 86400000 -- what a deleted job left there goes when the tenant has been quiet for so long; a row in doubt may wait long too
local function claims_of(base)
  return base .. ':claims:all'
end

-- Whose a claim is: 'open' while its row waits for its answer. 'lost', and since when, once the job is gone (or another one has its id by
-- now): the answer may still come, and nobody but the next row for this guest will ask what became of it. Nothing where the row ended.
local function read_claim(prefix, claim)
  local job, chunk, row, at = string.match(claim, '^([^:]*):([^:]*):([^:]*):(%d+)$')
  if not job then return end
  local made = redis.call('HGET', prefix .. ':job:' .. job, 'created_at')
  local letters = redis.call('HGET', prefix .. ':chunk:' .. job .. ':' .. chunk, 'st')
  if not made or not letters or tonumber(made) > tonumber(at) then return 'lost', tonumber(at) end
  local letter = letter_at(letters, tonumber(row))
  if letter == 's' or letter == 'd' then return 'open' end
end

-- Drops claims, those of them that are still the row's: hash → job:chunk:row.
local function give_up_claims(base, rows)
  if not next(rows) then return end
  local hashes, gone = {}, {}
  for hash in pairs(rows) do hashes[#hashes + 1] = hash end
  for k, claim in ipairs(redis.call('HMGET', claims_of(base), unpack(hashes))) do
    local row = rows[hashes[k]] .. ':'
    if claim and string.sub(claim, 1, #row) == row then gone[#gone + 1] = hashes[k] end
  end
  if gone[1] then redis.call('HDEL', claims_of(base), unpack(gone)) end
end

-- The audit trail (worker/ledger/audit/trail.py): the name of a part of this generation's, and when that part is to go.
local function audit_key(prefix, part, keep_ms, now)
  local generation = math.floor(now / GENERATION_MS)
  return string.format('%s:audit:%.0f:%s', prefix, generation, part), string.format('%.0f', (generation + 1) * GENERATION_MS + keep_ms)
end

local function note(prefix, event, keep_ms, now)
  local key, ends = audit_key(prefix, 'events', keep_ms, now)
  redis.call('XADD', key, '*', 'e', event)
  redis.call('PEXPIREAT', key, ends)
end

-- Keeps what was done to a chunk's rows; the blob is empty where nothing was, or where no trail is kept.
local function keep_trail(prefix, field, blob, keep_ms, now)
  if blob == '' then return end
  local key, ends = audit_key(prefix, 'rows', keep_ms, now)
  redis.call('HSET', key, field, blob)
  redis.call('PEXPIREAT', key, ends)
end

-- Stores a finished chunk as one blob of rows and outcomes and one of links ('': none), in place of all that it was made of.
local function fold(key, letters, finished, links)
  local kept = redis.call('HMGET', key, 'base', 'ph')
  redis.call('DEL', key)
  redis.call('HSET', key, 'base', kept[1], 'st', letters, 'out', finished)
  if kept[2] then redis.call('HSET', key, 'ph', kept[2]) end
  if links ~= '' then redis.call('HSET', key, 'lnk', links) end
end
