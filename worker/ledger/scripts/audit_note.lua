-- Adds an event to the audit trail. KEYS: none (the name follows from the time)    ARGV: prefix,
-- keep_ms, what happened (JSON)
-- Returns when, in milliseconds.
local prefix, keep_ms, event = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
note(prefix, event, keep_ms, now)
return now
