"""Any list of people, read row by row."""
