"""`usher invite`: a list or addresses, from reading to sending."""
