"""The HTTP API: everything below `/v1`, for programs and for the console's own pages.

Begin reading at `jobs.py`. docs/http.md shows how it is used; `/v1/openapi.json` says all of it.
"""
