-- Replaces a finished chunk's rows and blobs by one blob each, if nothing was added since they were
-- read and nobody did so before: a person may have been forgotten in it since (`forget_rows`).
-- KEYS: chunk    ARGV: number of blobs read, blob of rows and outcomes, blob of links ('' if none),
--   prefix, job:chunk, what the audit trail keeps of it ('': nothing), audit_keep_ms
local blobs_read, finished, links, prefix, field, trail, keep_ms =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local c = redis.call('HMGET', KEYS[1], 'st', 'no')
if redis.call('HEXISTS', KEYS[1], 'rows') == 0 then return 0 end
if not c[1] or string.find(c[1], '[.qsd]') or (c[2] or '0') ~= blobs_read then return 0 end
fold(KEYS[1], c[1], finished, links)
keep_trail(prefix, field, trail, keep_ms, now_ms())
return 1
