"""What a list says otherwise of guests who are there: `update` and `move`."""
