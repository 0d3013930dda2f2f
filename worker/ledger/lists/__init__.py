"""Lists beside their jobs: not submitted yet, or submitted through many connections."""
