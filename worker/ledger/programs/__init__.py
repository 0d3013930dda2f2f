"""The programs at a ledger: who is here, what each would write again, whether it has the key."""
