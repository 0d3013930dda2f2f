-- Graph says how much of a limit is used: our picture is lowered where it shows less, never raised.
-- KEYS: bucket, ...    ARGV: share used (1.0: all), then amount, window_ms of each bucket
local now, share = now_ms(), tonumber(ARGV[1])
for b = 1, #KEYS do
  local amount, window = tonumber(ARGV[2 * b]), tonumber(ARGV[2 * b + 1])
  local level = bucket_level(KEYS[b], amount, window, now)
  local shown = math.max(0, (1 - share) * amount)
  if shown < level then bucket_store(KEYS[b], shown, window, now) end
end
return 1
