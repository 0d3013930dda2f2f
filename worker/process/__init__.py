"""A Celery worker, beat and Flower as processes: what each does when it starts, takes a message and stops."""
