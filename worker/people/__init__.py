"""All that is held about one person: found, exported, forgotten."""
