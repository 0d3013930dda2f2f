"""An access token for a connection, by whatever credential it has."""
