"""A schedule runs one of these tasks: a module each, by its name, with `async def run(context) ->
Told`.

Begin reading at `firing.py`, the Celery task that does a run once.
"""
