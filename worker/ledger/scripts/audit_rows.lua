-- Keeps what was done to the rows of a chunk that was not folded. KEYS: none    ARGV: prefix, job:chunk, blob (audit_rows.py), keep_ms
keep_trail(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), now_ms())
return 1
