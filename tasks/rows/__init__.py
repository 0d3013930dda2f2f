"""One row of a list: its fields, what each may hold, and what is wrong with it."""
