"""Every row's state in Redis, and who decides about sending."""
