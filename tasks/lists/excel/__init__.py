"""Excel workbooks, read as a stream within bounds."""
