-- Writes what came back. A final letter is a fact and is taken whoever brings it, as long as the row has none;
-- anything else is taken only for a row of this very batch (or of this look-up) that is still waiting for its answer.
-- KEYS: job, chunk    ARGV: prefix, job, chunk, connection, lane, batch (0: a look-up), settle_ms, blob of outcomes, blob of links,
--   then row, letter, wait_ms (of 'd': when to look again; else 0), ...
-- Returns {'ok' | 'gone', rows left to send in the chunk, rows in doubt or on the wire in it, job's state, rows taken, blob number}
local prefix, job, chunk, connection, lane = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local batch, settle_ms, now = tonumber(ARGV[6]), tonumber(ARGV[7]), now_ms()
local c = redis.call('HMGET', KEYS[2], 'st', 'no', 'ph')
local letters = c[1]
if not letters or redis.call('EXISTS', KEYS[1]) == 0 then return { 'gone', 0, 0, 'deleted', 0, 0 } end
local mine, marked_at = {}, nil
if batch > 0 then
  local field = redis.call('HGET', KEYS[2], 'b' .. batch)
  if field then
    for part in string.gmatch(field, '%d+') do
      if marked_at then mine[part] = true else marked_at = part end
    end
    redis.call('HDEL', KEYS[2], 'b' .. batch)
  end
end

local counts, opened, taken, revived = {}, 0, 0, false
for a = 10, #ARGV, 3 do
  local row, new, wait = ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 2])
  local i = tonumber(row)
  local old = letter_at(letters, i)
  local waiting = (batch > 0 and old == 's' and mine[row]) or (batch == 0 and old == 'd')
  local member = job .. ':' .. chunk .. ':' .. row
  if is_final(new) and not is_final(old) then
    if old == 'd' then
      redis.call('ZREM', prefix .. ':connection:' .. connection .. ':doubts', member)
      redis.call('HDEL', KEYS[2], 'd' .. row)
    end
    if old == 's' or old == 'd' then opened = opened - 1 end
    letters = replace_at(letters, i, new)
    counts[new] = (counts[new] or 0) + 1
    taken = taken + 1
  elseif is_pending(new) and waiting then
    if old == 'd' then
      redis.call('ZREM', prefix .. ':connection:' .. connection .. ':doubts', member)
      redis.call('HDEL', KEYS[2], 'd' .. row)
      revived = true
    end
    letters = replace_at(letters, i, new)
    opened = opened - 1
    taken = taken + 1
  elseif new == 'd' and waiting then
    if old == 's' then
      redis.call('HSET', KEYS[2], 'd' .. row, marked_at)
      letters = replace_at(letters, i, 'd')
    end
    look_at(prefix, connection, member, now + (wait > 0 and wait or settle_ms))
    taken = taken + 1
  end
end
redis.call('HSET', KEYS[2], 'st', letters)
for letter, n in pairs(counts) do redis.call('HINCRBY', KEYS[1], 'n:' .. letter, n) end
if opened ~= 0 then redis.call('HINCRBY', KEYS[1], 'open', opened) end
local number = 0
if ARGV[8] ~= '' and taken > 0 then
  number = redis.call('HINCRBY', KEYS[2], 'no', 1)
  redis.call('HSET', KEYS[2], 'o' .. number, ARGV[8])
  if ARGV[9] ~= '' then redis.call('HSET', KEYS[2], 'l' .. number, ARGV[9]) end
end
if revived and c[3] == 'x' then requeue(prefix, job, chunk, connection, lane, now) end
local _, pending = string.gsub(letters, '[.q]', '')
local _, open = string.gsub(letters, '[sd]', '')
return { 'ok', pending, open, settle_job(prefix, job, now) or 'deleted', taken, number }
