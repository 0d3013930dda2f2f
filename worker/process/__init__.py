"""A Celery worker, beat and Flower are processes; here is what each does as it starts, takes a
message and stops.

Begin reading at `runtime.py`, the bridge from Celery's threads to the event loop; `messages.py` is
what may come in.
"""
