-- Keeps what was done to the rows of a chunk that was not folded. KEYS: none    ARGV: prefix,
-- job:chunk, blob (audit_rows.py), keep_ms
local prefix, field, blob, keep_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
keep_trail(prefix, field, blob, keep_ms, now_ms())
return 1
