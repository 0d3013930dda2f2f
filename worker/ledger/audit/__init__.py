"""What was done, by whom and to whom: kept longer than jobs, without an address."""
