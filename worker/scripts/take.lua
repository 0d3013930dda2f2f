-- Takes tokens for reads, all or none. KEYS: bucket, ...    ARGV: tokens, then amount, window_ms of each
-- Returns 0 when taken, else the milliseconds to wait.
local now, tokens, wait, levels = now_ms(), tonumber(ARGV[1]), 0, {}
for b = 1, #KEYS do
  local amount, window = tonumber(ARGV[2 * b]), tonumber(ARGV[2 * b + 1])
  local level, closed = bucket_level(KEYS[b], amount, window, now)
  levels[b] = level
  local wanted = math.min(tokens, amount)
  if closed > now then wait = math.max(wait, closed - now) end
  if level < wanted then wait = math.max(wait, math.ceil((wanted - level) * window / amount)) end
end
if wait > 0 then return wait end
for b = 1, #KEYS do bucket_store(KEYS[b], levels[b] - tokens, tonumber(ARGV[2 * b + 1]), now) end
return 0
