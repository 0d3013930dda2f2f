-- Adds an event to the audit trail. KEYS: none (the name follows from the time)    ARGV: prefix, keep_ms, what happened (JSON)
-- Returns when, in milliseconds.
local now = now_ms()
note(ARGV[1], ARGV[3], tonumber(ARGV[2]), now)
return now
