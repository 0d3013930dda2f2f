-- One tick of a worker's dispatcher: free what has expired, then offer chunks for the seats that
-- are free.
-- KEYS: workers, worker-seats, leases, offers, due, due-now, due-doubts, seats-of, offered-of,
--   fence, hold, schema, gathering
-- ARGV: prefix, worker, its seats (0: it is leaving), worker_ttl_ms, offer_ms, settle_ms, most
--   offers a tick, batch size, schema version
-- Returns {milliseconds until something known is due (-1: nothing; -2: the ledger is a newer one,
--   nothing was touched), freed leases, freed offers, ticket, chunks of its job, ticket, ...} It
--   reads on from what it finds (a due connection's jobs), so it names keys beyond KEYS, all under
--   the one prefix.
local prefix, worker, seats, worker_ttl, offer_ms, settle_ms, most, batch, version =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]),
  tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local now = now_ms()
local K = {
  workers = KEYS[1], worker_seats = KEYS[2], leases = KEYS[3], offers = KEYS[4], due = KEYS[5], due_now = KEYS[6],
  due_doubts = KEYS[7], seats_of = KEYS[8], offered_of = KEYS[9], fence = KEYS[10], hold = KEYS[11]
}

if tonumber(redis.call('GET', KEYS[12]) or 0) > version then return { -2, 0, 0 } end

-- Who is here
if seats > 0 then
  redis.call('ZADD', K.workers, now, worker)
  redis.call('HSET', K.worker_seats, worker, seats)
else
  redis.call('ZREM', K.workers, worker)
  redis.call('HDEL', K.worker_seats, worker)
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', K.workers, '-inf', now - worker_ttl)) do
  redis.call('ZREM', K.workers, gone)
  redis.call('HDEL', K.worker_seats, gone)
end

-- What has expired
local lost, unclaimed = 0, 0
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', K.leases, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', K.leases, ticket)
  give_back(prefix, ticket, settle_ms, now)
  lost = lost + 1
end
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', K.offers, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', K.offers, ticket)
  redis.call('HINCRBY', K.offered_of, parse_ticket(ticket).connection, -1)
  give_back(prefix, ticket, settle_ms, now)
  unclaimed = unclaimed + 1
end

-- What stages have gathered for long enough; what is left of it makes the next tick due at once
local lists = 500
for _, stage in ipairs(redis.call('ZRANGEBYSCORE', KEYS[13], '-inf', now, 'LIMIT', 0, 20)) do
  if lists > 0 then lists = lists - gather(prefix, stage, now, lists) end
end

local reply = { -1, lost, unclaimed }
local total, workers = 0, 0
for _, n in ipairs(redis.call('HVALS', K.worker_seats)) do
  total = total + tonumber(n)
  workers = workers + 1
end
local free = total - redis.call('ZCARD', K.leases) - redis.call('ZCARD', K.offers)
local kept = total > workers and workers or 0 -- for interactive work; a worker with a single seat has none to spare
-- How many a connection may have grows with what is free: one alone gets a quarter of all, each
-- further one a quarter of the rest, so that however many tenants are slow some seats are left.
-- Beyond MOST_SEATS it would only queue in front of itself.
local MOST_SEATS = 24
local function may_have(seats)
  return seats < math.max(1, math.min(MOST_SEATS, free / 3))
end
local everything_held = redis.call('EXISTS', K.hold) == 1
local quiet = is_quiet(prefix)

local function offer(job, chunk, connection, lane, chunks)
  local ticket = string.format('%s:%s:%.0f:%s:%s', job, chunk, redis.call('INCR', K.fence), connection, lane)
  redis.call('ZADD', K.offers, now + offer_ms, ticket)
  redis.call('HINCRBY', K.seats_of, connection, 1)
  redis.call('HINCRBY', K.offered_of, connection, 1)
  reply[#reply + 1] = ticket
  reply[#reply + 1] = chunks
  free = free - 1
  most = most - 1
end

-- The next chunk of a job: one given back whose time has come, else the next fresh one. None: nil
-- and when one will be. (A time further ahead than any is set was set before the clock was put
-- back.)
local function take_chunk(job)
  local key = prefix .. ':job:' .. job
  local f = redis.call('HMGET', key, 'state', 'next', 'chunks', 'limit')
  if f[1] ~= 'running' then return nil end
  local back = redis.call('ZRANGE', key .. ':back', 0, 0, 'WITHSCORES')
  local at = tonumber(back[2])
  if at and (at <= now or at > now + math.max(60000, settle_ms) + 1000) then
    redis.call('ZREM', key .. ':back', back[1])
    return back[1], f[3]
  end
  local fresh, last = tonumber(f[2]), tonumber(f[4] or f[3])
  if fresh >= last then return nil, at end
  redis.call('HSET', key, 'next', fresh + 1)
  return string.format('%.0f', fresh), f[3]
end

-- One chunk of the job whose turn it is. Jobs that have none to offer leave the rotation until one
-- is given back.
-- Returns whether there was one, else when there will be (nil: not before one is given back).
local function offer_next(connection, lane)
  local rotation, soonest = rotation_of(prefix, connection, lane), nil
  for _ = 1, redis.call('LLEN', rotation) do
    local job = redis.call('LMOVE', rotation, rotation, 'LEFT', 'RIGHT')
    local chunk, more = take_chunk(job)
    if chunk then
      redis.call('HSET', prefix .. ':chunk:' .. job .. ':' .. chunk, 'ph', 'o')
      offer(job, chunk, connection, lane, more)
      return true
    end
    if not more then
      redis.call('LREM', rotation, 0, job)
    elseif not soonest or more < soonest then
      soonest = more
    end
  end
  return false, soonest
end

-- When a connection may have (one more of) its chunks offered: now, later, or (nil) not before
-- someone reopens it.
local function ready_at(connection, lane)
  local f = redis.call('HMGET', prefix .. ':connection:' .. connection, 'gate', 'probe_at', 'closed_until', 'spare',
    'spare_at', 'rate', 'clean')
  local offered = tonumber(redis.call('HGET', K.offered_of, connection) or 0)
  local above, try_at = held_above(prefix, connection)
  if above and (above ~= 'credential' or not try_at or try_at > now) then return now + 1000 end
  if f[1] == 'held' then
    if not f[2] then return nil end
    if offered > 0 then return now + 1000 end -- one at a time while it is only a try
    return tonumber(f[2])
  end
  if lane == 'b' and is_on_probation(f[7]) and tonumber(redis.call('HGET', K.seats_of, connection) or 0) > 0 then
    return now + 50 -- a second chunk would only wait for the first one's batch (begin_batch)
  end
  local closed = tonumber(f[3] or 0)
  if closed > now then return closed end
  if lane == 'i' then return now end -- what is spare is told for bulk work, which leaves some of it alone
  local spare, rate = tonumber(f[4]), tonumber(f[6])
  if spare and rate and rate > 0 then
    -- (not less than then: the clock may have been put back)
    local tokens = spare + math.max(0, now - tonumber(f[5])) * rate
    local wanted = (offered + 1) * batch
    if offered > 0 and tokens < wanted then return now + math.ceil((wanted - tokens) / rate) end
  end
  return now
end

-- Fair passes: each due connection gets one chunk a pass until the seats are gone or nobody can use
-- one.
local function offer_round(zset, lane, keep)
  local again = true
  while free > keep and most > 0 and again do
    again = false
    for _, connection in ipairs(redis.call('ZRANGEBYSCORE', zset, '-inf', now, 'LIMIT', 0, 2 * free + 8)) do
      if free <= keep or most <= 0 then break end
      local at = ready_at(connection, lane)
      if everything_held or not at then
        redis.call('ZREM', zset, connection)
      elseif at > now then
        redis.call('ZADD', zset, at, connection)
      elseif lane == 'b' and not may_have(tonumber(redis.call('HGET', K.seats_of, connection) or 0)) then
        -- its part is in use; the end of any of its chunks makes it due
        redis.call('ZADD', zset, now + 1000, connection)
      else
        local offered, later = offer_next(connection, lane)
        if offered then
          redis.call('ZADD', zset, now, connection) -- behind those that have waited longer
          again = true
        elseif later then
          redis.call('ZADD', zset, later, connection)
        else
          redis.call('ZREM', zset, connection)
        end
      end
    end
  end
end

if free > 0 and most > 0 and not quiet then
  -- Look-ups of rows in doubt go first: they are few, and a row in doubt is the only one that could
  -- be sent twice.
  for _, connection in ipairs(redis.call('ZRANGEBYSCORE', K.due_doubts, '-inf', now, 'LIMIT', 0,
    math.min(free, most))) do
    local first = redis.call('ZRANGE', prefix .. ':connection:' .. connection .. ':doubts', 0, 0, 'WITHSCORES')
    if not first[1] then
      redis.call('ZREM', K.due_doubts, connection)
    elseif tonumber(first[2]) > now then
      redis.call('ZADD', K.due_doubts, first[2], connection)
    else
      -- one look-up at a time; whoever ends it sets the next
      redis.call('ZADD', K.due_doubts, now + offer_ms, connection)
      offer('-', '0', connection, 'd', 1)
    end
  end
  offer_round(K.due_now, 'i', 0)
  offer_round(K.due, 'b', kept)
end

-- When to tick again at the latest. Where no seat is free, only the end of a lease or an offer
-- makes one.
local soonest
local waiting = { K.leases, K.offers, KEYS[13] }
if free > 0 and not quiet then waiting = { K.leases, K.offers, KEYS[13], K.due_now, K.due_doubts } end
if free > kept and not quiet then waiting[6] = K.due end
for _, zset in ipairs(waiting) do
  local first = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  if first[2] and (not soonest or tonumber(first[2]) < soonest) then soonest = tonumber(first[2]) end
end
if soonest then reply[1] = math.max(0, math.ceil(soonest - now)) end
return reply
