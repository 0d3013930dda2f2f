-- Takes tokens for reads, all or none. KEYS: bucket, ...    ARGV: tokens, then amount, window_ms of
-- each and how much of it is left alone
-- Returns 0 when taken, else the milliseconds to wait.
local tokens = tonumber(ARGV[1])
local now, wait, buckets = now_ms(), 0, {}
for b = 1, #KEYS do
  local amount, window, kept = tonumber(ARGV[3 * b - 1]), tonumber(ARGV[3 * b]), tonumber(ARGV[3 * b + 1])
  local k = bucket_read(KEYS[b], amount, window, now)
  buckets[b] = k
  local wanted = math.min(tokens, amount - kept) + kept
  if k.closed > now then wait = math.max(wait, k.closed - now) end
  if k.level < wanted then wait = math.max(wait, math.ceil((wanted - k.level) / k.rate)) end
end
if wait > 0 then return wait end
for b = 1, #KEYS do
  local amount, window = tonumber(ARGV[3 * b - 1]), tonumber(ARGV[3 * b])
  bucket_take(KEYS[b], buckets[b], tokens, amount, window, now)
end
return 0
