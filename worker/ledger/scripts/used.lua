-- Graph says how much of a limit is used, not of which: our picture is lowered where it shows less
-- left, never raised. Nothing is learned where a bucket that we know to be that full explains it; a
-- small one beside the meant ones often does. Once the picture was wrong by more than a chunk,
-- somebody else is at work: a little is then kept unspent for as long as it goes on. Before that,
-- what our own rows explain is left as it is: those on the wire, what came in since the answer was
-- given, and that Graph shows whole hundredths.
-- KEYS: bucket, ...    ARGV: share used (1.0: all), rows begun since, milliseconds since the mark,
--   rows of a chunk, rows of a batch, then amount, window_ms, cost and whether it can be meant
--   (0/1) of each bucket    Returns how many were lowered.
local share, since, elapsed, chunk, batch =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
local HALF_HUNDREDTH = 0.005
local levels = {}
for b = 1, #KEYS do
  local a = 2 + b * 4
  local amount, window, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local is_meant = ARGV[a + 3] == '1'
  levels[b] = bucket_read(KEYS[b], amount, window, now).level
  -- As it stood when the answer was given, somewhere within the call; of a small one the picture is
  -- rough: a few batches are half of it
  local rough = amount / cost > 10 * batch and 0.02 or 0.5
  if not is_meant and 1 - levels[b] / amount + elapsed / window + rough >= share then return 0 end
end
local lowered = 0
for b = 1, #KEYS do
  local a = 2 + b * 4
  local amount, window, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local is_meant = ARGV[a + 3] == '1'
  -- in a smaller one our own rows on the wire weigh more than what is shown
  if is_meant and amount / cost > 10 * batch then
    local left = (1 - share) * amount - since * cost
    local reserve = math.min(chunk * cost, amount / 20)
    local kept = (tonumber(redis.call('HGET', KEYS[b], BUCKET.kept_until)) or 0) > now
    local explained = levels[b] <= (1 - share + HALF_HUNDREDTH + elapsed / window) * amount
    if kept or not explained and levels[b] - left > chunk * cost then
      left = math.max(left - reserve, -reserve)
      kept = true
    end
    if left < levels[b] and (kept or not explained) then
      bucket_store(KEYS[b], left, window, now)
      if kept then redis.call('HSET', KEYS[b], BUCKET.kept_until, string.format('%.0f', now + window)) end
      lowered = lowered + 1
    end
  end
end
return lowered
