-- A worker says, once a second, that it is here, and learns whether this is still the ledger that
-- it knew. It may not be: after a failover the last moments are missing, after a restore much more
-- (docs/decisions/0006-epochs.md). Each change of the server, and each silence of all workers,
-- begins an epoch: whoever was at work before comes in, having written its own again, before
-- anything is sent or given up.
-- KEYS: epoch, here (process → last heard of), awaited (processes that have not come in yet),
--   fence, hold
-- ARGV: process, the epoch it has come in to ('': it has just begun), the last beat it saw,
--   lease_ms, settle_ms, journal_ms (how far back a process can write again), restored_ms (older
--   than this, a ledger that nobody vouches for is taken for a restored one; 0: never), why a
--   restored one is held    Returns {the epoch, 1 if the caller is to write its own again and then
--   come in, beat, processes awaited, '' | 'server' | 'silence': what begins with this call, 1 if
--   everything is held since this call}
local me, mine, seen, lease_ms, settle_ms, journal_ms, restored_ms, why_held =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]),
  tonumber(ARGV[7]), ARGV[8]
local now, id = now_ms(), server_id()
local MARK_MS = 5000 -- a row leaves at most so long after its mark
local FENCES = 1000000 -- more than can have been given out and lost
local e = redis.call('HMGET', KEYS[1], 'id', 'n', 'beat', 'quiet_until', 'settle_from', 'lost_at')
local beat, lost_at = tonumber(e[3] or now), tonumber(e[6] or 0)

-- An epoch is named by a number and the server that it began on: two failovers in a row may both
-- find the state before the first, and number alike what are two epochs.
local function number_of(name) return tonumber(string.match(name or '', '^%d+')) or 0 end
local function name_of(number) return string.format('%.0f-%s%s', number, string.sub(id, 1, 6), string.sub(id, -6)) end
local n = e[2] or name_of(0)
local begins, held = '', 0

local function hold(from)
  local kind = redis.call('HGET', KEYS[5], 'kind')
  if kind == 'key' or redis.call('EXISTS', KEYS[5]) == 0 then -- a lost key's ends by itself; this one must outlive it
    redis.call('HSET', KEYS[5], 'why', why_held, 'since', string.format('%.0f', now), 'kind', 'restored')
    held = 1
  end
  redis.call('HSETNX', KEYS[1], 'restored_from', string.format('%.0f', from))
end

if not e[1] and mine == '' then -- nobody was ever here
  redis.call('HSET', KEYS[1], 'id', id, 'n', n)
elseif e[1] ~= id or (now - beat > SILENT_MS and redis.call('EXISTS', KEYS[2]) == 1) then
  begins = e[1] ~= id and 'server' or 'silence'
  n = name_of(math.max(number_of(n), number_of(mine)) + 1)
  lost_at = beat
  if not e[1] then lost_at = 0 end -- an empty one in place of the one that the caller knew
  -- Besides those that the epoch before still waits for
  for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], lost_at - journal_ms, '+inf')) do
    redis.call('SADD', KEYS[3], process)
  end
  local working = redis.call('SCARD', KEYS[3])
  redis.call('DEL', KEYS[2])
  redis.call('HDEL', KEYS[1], 'quiet_until', 'settle_from', 'vouched', 'unsure')
  redis.call('HSET', KEYS[1], 'id', id, 'n', n, 'lost_at', string.format('%.0f', lost_at))
  if begins == 'server' then
    redis.call('HINCRBY', KEYS[1], 'servers', 1)
    -- nor does a second failover give out the first's
    redis.call('INCRBY', KEYS[4], FENCES + 1000 * tonumber(string.sub(id, -5), 16))
  end
  if working > 0 then
    redis.call('HSET', KEYS[1], 'settle_from', string.format('%.0f', now + lease_ms))
    if begins == 'server' then
      -- What one sent that is dead now, and of which nobody knows, has been seen by the directory
      -- then
      local visible = math.min(lost_at, now) + MARK_MS + settle_ms
      redis.call('HSET', KEYS[1], 'quiet_until', string.format('%.0f', math.max(now + lease_ms, visible)))
      if restored_ms > 0 and now - lost_at > restored_ms then redis.call('HSET', KEYS[1], 'unsure', 1) end
    end
  end
  redis.call('HSET', KEYS[1], 'beat', string.format('%.0f', now))
end

if mine ~= '' and mine ~= n then
  -- It remembers: what it saw last is what this ledger holds, or this ledger is an older one
  if seen - lost_at > journal_ms then
    hold(lost_at)
  elseif lost_at - seen <= journal_ms then
    redis.call('HSET', KEYS[1], 'vouched', 1)
  end
  return { n, 1, string.format('%.0f', seen), redis.call('SCARD', KEYS[3]), begins, held }
end

redis.call('ZADD', KEYS[2], now, me)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60000)
redis.call('SREM', KEYS[3], me)
redis.call('HSET', KEYS[1], 'beat', string.format('%.0f', now))
local left = redis.call('SCARD', KEYS[3])
local w = redis.call('HMGET', KEYS[1], 'quiet_until', 'settle_from', 'unsure', 'vouched')
-- Over once all are here or its time has come (or lies further ahead than it was set: the clock was
-- put back)
local function is_over(at)
  return at and (left == 0 or tonumber(at) <= now or tonumber(at) > now + MARK_MS + settle_ms + lease_ms)
end
if is_over(w[1]) then
  redis.call('HDEL', KEYS[1], 'quiet_until', 'unsure')
  if w[3] and not w[4] then hold(lost_at) end
end
if is_over(w[2]) then redis.call('HDEL', KEYS[1], 'settle_from') end
local function is_waited(field) return redis.call('HEXISTS', KEYS[1], field) == 1 end
if left > 0 and not is_waited('quiet_until') and not is_waited('settle_from') then redis.call('DEL', KEYS[3]) end
return { n, 0, string.format('%.0f', now), left, begins, held }
