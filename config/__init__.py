"""What the operator says: settings, connections, references to secrets. Knows nothing of Redis,
Graph or Celery.
"""
