"""Who is in groups and teams: `groups`, `teams` and `leave`. Begin reading at `membership.py`."""
