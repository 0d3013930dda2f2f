"""Following a job until it ends or waits for somebody, and telling how it went."""
