"""What every command shares: terminal, questions, tables, errors, options."""
