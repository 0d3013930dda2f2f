"""From a chunk that is due to rows that were sent, recorded and settled."""
