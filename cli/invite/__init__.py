"""`usher invite` takes a list, or addresses, from reading to sending: begin at `command.py`."""
