-- The quota: nested token buckets. It stands behind `_common.lua`.

-- A bucket's fields (worker/ledger/keys.py says what each holds), by the names that the scripts
-- use.
local BUCKET = {
  level = 'l', at = 't', closed = 'c', taken = 'n',
  rate = 'r', rate_at = 'rt', doubt = 'u', refused_at = 'e', taken_then = 'en', counted_from = 'a', trying = 'p',
  kept_until = 'x', left_full_at = 'w', answer_then = 'wa', line_until = 'q',
}

-- A nested token bucket. It fills at amount/window and never beyond amount; more slowly once 429s
-- have shown that somebody else takes from it too (throttled.lua): at the rate learned then, which
-- grows for as long as it does no harm until it is the whole again. Growth: at first by how
-- uncertain the estimate was (doubt, a unit), then faster and faster; doubled after 58 units.
local GROWTH, UNIT_MS = 0.0003, 30000
-- Graph's full bucket stays full until the first request arrives there. So nothing comes in here
-- either for as long as an answer takes since the first rows left a full one (left_full_at): as
-- long as was known then (answer_then) or is known now, whichever is less, for a burst makes
-- answers slow. answer_ms: as far as the caller knows; a second where nobody does, and at most.
-- What is taken meanwhile leaves at where left_full_at is, so that what comes in since then is
-- counted once the time is known better. Of a small bucket the rows on the wire weigh more than
-- that. in_turn: of one that many tenants take from it is what was known then, for what one
-- connection knows now says nothing of the other, perhaps new, whose rows were the first.
local ANSWER_MS, LARGE = 1000, 100
local function bucket_read(key, amount, window_ms, now, answer_ms, in_turn)
  local f = redis.call('HMGET', key, BUCKET.level, BUCKET.at, BUCKET.closed, BUCKET.taken, BUCKET.rate, BUCKET.rate_at,
    BUCKET.doubt, BUCKET.trying, BUCKET.kept_until, BUCKET.left_full_at, BUCKET.answer_then, BUCKET.line_until)
  local full = amount / window_ms
  local back = (tonumber(f[2]) or 0) - now
  -- the clock was put back: all goes on from now, or nothing would come in, and what is closed stay
  -- so, until it has caught up
  if back > 0 then
    for name, at in pairs({ at = f[2], closed = f[3], rate_at = f[6], kept_until = f[9], left_full_at = f[10] }) do
      if at then redis.call('HSET', key, BUCKET[name], string.format('%.0f', tonumber(at) - back)) end
    end
    f[2], f[3] = now, (tonumber(f[3]) or 0) - back
    f[6], f[10] = f[6] and tonumber(f[6]) - back, f[10] and tonumber(f[10]) - back
  end
  local k = {
    level = tonumber(f[1]), at = tonumber(f[2]), closed = tonumber(f[3]) or 0, taken = tonumber(f[4]) or 0, rate = full,
    trying = f[8] ~= false, answer = math.min(answer_ms or ANSWER_MS, ANSWER_MS), line_until = tonumber(f[12]) or 0
  }
  if f[5] then
    local units = math.max(0, now - tonumber(f[6])) / math.min(window_ms, UNIT_MS)
    k.rate = math.min(full, tonumber(f[5]) * (1 + tonumber(f[7]) * units + GROWTH * units * units))
    k.learned = k.rate < full
  end
  if not k.level then
    k.level = amount
    return k
  end
  local known = in_turn and ANSWER_MS or k.answer
  k.since = math.max(tonumber(f[2]), (tonumber(f[10]) or 0) + math.min(known, tonumber(f[11]) or 0))
  -- also where the limit was lowered meanwhile
  k.level = math.min(amount, k.level + math.max(0, now - k.since) * k.rate)
  return k
end

-- taken counts what was taken. counted_from is where counting began for the next estimate: "f" when
-- we last saw the bucket full, "e" at a 429, when it was empty.
local function bucket_store(key, level, window_ms, now)
  redis.call('HSET', key, BUCKET.level, string.format('%.6f', level), BUCKET.at, string.format('%.0f', now))
  redis.call('PEXPIRE', key, math.floor(window_ms) * 2 + 3600000)
end

local function bucket_take(key, k, tokens, amount, window_ms, now)
  local level, taken = k.level - tokens, string.format('%.3f', k.taken + tokens)
  if k.trying then
    level = 0 -- one row to see whether anything goes through; what we thought was there is not (throttled.lua)
  -- by nothing to do, not because a 429 closed it for so long
  elseif k.level >= amount and now - k.closed > amount / k.rate then
    redis.call('HSET', key, BUCKET.level, string.format('%.6f', level), BUCKET.at, string.format('%.0f', now),
      BUCKET.taken, taken, BUCKET.counted_from, string.format('f %.3f %.0f', k.taken, now),
      BUCKET.left_full_at, string.format('%.0f', now), BUCKET.answer_then, amount >= LARGE and k.answer or 0)
    redis.call('PEXPIRE', key, math.floor(window_ms) * 2 + 3600000)
    return
  end
  local at = not k.trying and k.since and k.since > now and k.at or now
  redis.call('HSET', key, BUCKET.level, string.format('%.6f', level), BUCKET.at, string.format('%.0f', at),
    BUCKET.taken, taken)
  -- an hour: not for every batch
  if not k.at or now - k.at > 60000 then redis.call('PEXPIRE', key, math.floor(window_ms) * 2 + 3600000) end
end

-- Turns at a bucket that many connections take from (Bucket.in_turn): whoever finds too little gets
-- a place in line, and comes back when all ahead and itself can have had theirs. Without it all
-- that wait come at once, for a single one to find what came in, and who loses once may lose always.
-- line: channel → since when it waits; line_due: channel → when it comes back. One that does not
-- (its job was paused, its connection held) loses its place.
local TURN = 20 -- tokens that one takes at most: a batch
local LATE_MS, LINE_MS = 5000, 600000

-- How many are ahead of a channel.
local function line_ahead(key, k, channel, now)
  if k.line_until <= now then return 0 end
  local line, due = key .. ':line', key .. ':line-due'
  for _, range in ipairs({ { '-inf', now - LATE_MS }, { now + LINE_MS + 1000, '+inf' } }) do
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', due, range[1], range[2], 'LIMIT', 0, 100)) do
      if gone ~= channel then
        redis.call('ZREM', line, gone)
        redis.call('ZREM', due, gone)
      end
    end
  end
  k.place = redis.call('ZRANK', line, channel)
  return k.place or redis.call('ZCARD', line)
end

local function line_join(key, k, channel, wait, now)
  local line, due = key .. ':line', key .. ':line-due'
  if not k.place then
    local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
    local score = math.max(now, (tonumber(last) or 0) + 0.01) -- behind whoever asked in the same millisecond
    redis.call('ZADD', line, string.format('%.2f', score), channel)
  end
  redis.call('ZADD', due, now + wait, channel)
  local last = now + wait + LATE_MS
  if last > k.line_until then redis.call('HSET', key, BUCKET.line_until, string.format('%.0f', last)) end
  redis.call('PEXPIRE', line, LINE_MS * 2)
  redis.call('PEXPIRE', due, LINE_MS * 2)
end

local function line_leave(key, k, channel)
  if not k.place then return end
  redis.call('ZREM', key .. ':line', channel)
  redis.call('ZREM', key .. ':line-due', channel)
end
