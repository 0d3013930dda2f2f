"""What the ledger remembers of guests beyond their jobs: whom it invited, and whom it reminded."""
