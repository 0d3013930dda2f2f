-- Rows, offers and jobs. What a script uses of this file, and of each whose name begins so, is put in
-- front of it when it is loaded. Key patterns are those of worker/ledger/keys.py. Row letters
-- (worker/ledger/model.py): '.' pending, 'q' pending without mail, 's' sending, 'd' in doubt;
-- final: 'i' invited, 'g' already a guest, 'k' skipped, 'f' failed, 'u' reported in doubt.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Which server this is. After a restart, or a failover to a replica and even back again, it is
-- another one (epoch.lua).
local function server_id()
  local info = redis.call('INFO', 'server', 'replication')
  local function value_of(name) -- each has 40 digits; a plain search costs a fraction of a pattern's
    local _, ends = string.find(info, name, 1, true)
    return ends and string.sub(info, ends + 1, ends + 40) or ''
  end
  return value_of('run_id:') .. ':' .. value_of('master_replid:')
end

-- Whether what others know is still to come (epoch.lua): until then rows that have left may look
-- pending, and nothing may be made of that.
local function is_quiet(prefix)
  local epoch = redis.call('HMGET', prefix .. ':epoch', 'id', 'quiet_until')
  return epoch[1] and (epoch[1] ~= server_id() or epoch[2])
end

-- Nobody was here for so long: those who come back may still bring what they heard meanwhile.
local SILENT_MS = 10000

-- Probation: so many clean batches since its gate opened, one in flight at a time, and a connection
-- is trusted (worker/ledger/gates.py).
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

-- Whether the row at an index is pending, without cutting its letter out: this is asked for each
-- row of each batch.
local PENDING, PENDING_SILENT = string.byte('.q', 1, 2)
local function is_pending_at(letters, index)
  local letter = string.byte(letters, index + 1)
  return letter == PENDING or letter == PENDING_SILENT
end

-- Replaces many letters at once: new is index → letter. (A chunk has 100 letters; a new string for
-- each of twenty costs more.)
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

-- A seat of the connection is free again: it may use another one now, if a job of it waits. What
-- its gate says is asked then.
local function make_due(prefix, connection, lane, now)
  if redis.call('EXISTS', rotation_of(prefix, connection, lane)) == 1 then
    redis.call('ZADD', due_of(prefix, lane), 'LT', now, connection)
  end
end

local function delist(prefix, job, connection, lane)
  redis.call('LREM', rotation_of(prefix, connection, lane), 0, job)
end

-- A job whose rows are no connection's counts for none (worker/channels.py).
local function is_nobodys_channel(channel)
  return string.match(channel, '^[^+]*') == ''
end

local function look_at(prefix, connection, member, at)
  redis.call('ZADD', prefix .. ':connection:' .. connection .. ':doubts', at, member)
  redis.call('ZADD', prefix .. ':due-doubts', 'LT', at, connection)
end

-- A channel is a connection, or connection+operation (worker/channels.py). What holds a connection
-- as a whole (`gates.WHOLE`) holds its channels. Returns why this channel's connection is held so,
-- and when that may be tried (nil: only a person lifts it).
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

-- A batch on the wire, its field being "time,i,iq,i;nonce" (q: without mail; the nonce has no
-- digits): row → time of its mark. Empty once it was recorded or given up.
local function rows_of_batch(key, field)
  local rows, at = {}, nil
  for part in string.gmatch(redis.call('HGET', key, field) or '', '%d+') do
    if at then rows[part] = at else at = part end
  end
  return rows
end

-- Rows of a batch whose answer will not come any more: each goes to the connection's list, to be
-- looked up. Returns the new letters. rows: as rows_of_batch says, where it was asked already.
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

-- Puts a chunk with rows left to send back among those to be offered, itself not before chunk_at,
-- and its connection not before at. Not that of a job that has ended or was deleted: the list would
-- outlive it.
local function requeue(prefix, job, chunk, connection, lane, at, chunk_at)
  redis.call('HDEL', prefix .. ':chunk:' .. job .. ':' .. chunk, 'ph')
  local state = redis.call('HGET', prefix .. ':job:' .. job, 'state')
  if state ~= 'running' and state ~= 'paused' and state ~= 'held' then return end
  redis.call('ZADD', prefix .. ':job:' .. job .. ':back', chunk_at, chunk)
  if state == 'running' then enlist(prefix, job, connection, lane, at) end
end

-- Ends an offer or a lease: its seat is free, rows still marked sending are in doubt, rows left to
-- send are offered again.
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

-- Stores a finished chunk as one blob of rows and outcomes and one of links ('': none), in place of
-- all that it was made of. Where its job has ended before, its expiry stays.
local function fold(key, letters, finished, links)
  local kept, expiry = redis.call('HMGET', key, 'base', 'ph'), redis.call('PTTL', key)
  redis.call('DEL', key)
  redis.call('HSET', key, 'base', kept[1], 'st', letters, 'out', finished)
  if kept[2] then redis.call('HSET', key, 'ph', kept[2]) end
  if links ~= '' then redis.call('HSET', key, 'lnk', links) end
  if expiry > 0 then redis.call('PEXPIRE', key, expiry) end
end
