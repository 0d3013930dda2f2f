"""`usher schedules`."""
