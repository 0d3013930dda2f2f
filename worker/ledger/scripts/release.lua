-- Gives a leased chunk back (or ends a look-up's lease). Rows left to send are offered again after
-- chunk_wait_ms; the connection's other chunks are offered after wait_ms.
-- KEYS: leases    ARGV: prefix, ticket, wait_ms, settle_ms, chunk_wait_ms    Returns 1, or 0 when
--   the lease was gone already.
local prefix, ticket, wait_ms, settle_ms, chunk_wait_ms =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
if redis.call('ZREM', KEYS[1], ticket) == 0 then return 0 end
give_back(prefix, ticket, settle_ms, now, now + wait_ms, now + chunk_wait_ms)
return 1
