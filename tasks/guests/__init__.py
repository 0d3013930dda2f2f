"""What people ask about the guests that a tenant has: which of them, and how they are written."""
