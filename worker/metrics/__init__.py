"""`usher metrics`: what is counted, as Prometheus reads it."""
