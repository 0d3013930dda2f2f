"""The dry run: what would become of each row."""
