"""What people do with jobs that were submitted: find them, look at them, move them."""
