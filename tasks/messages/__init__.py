"""What other programs send: the Celery tasks, and what they answer."""
