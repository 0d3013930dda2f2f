-- Renews leases. One that has expired, even if nobody has noticed yet, is not brought back.
-- KEYS: leases    ARGV: lease_ms, ticket, ticket, ...    Returns the tickets that are lost.
local lease_ms = tonumber(ARGV[1])
local now, lost = now_ms(), {}
for i = 2, #ARGV do
  local ticket = ARGV[i]
  local ends = redis.call('ZSCORE', KEYS[1], ticket)
  if ends and tonumber(ends) > now then
    redis.call('ZADD', KEYS[1], now + lease_ms, ticket)
  else
    lost[#lost + 1] = ticket
  end
end
return lost
