"""How every row ended, in the form that was asked for."""
