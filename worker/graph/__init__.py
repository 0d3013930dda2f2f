"""One call or batch of Microsoft Graph, its answer, and what the answer means."""
