"""The console is usher's second face: an HTTP API at `/v1` and pages at `/`, over the same calls
that the command makes.

Begin reading at `app.py`. Nobody imports it but the command `usher serve`.
"""
