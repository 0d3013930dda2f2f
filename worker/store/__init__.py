"""Redis as a server: clients, pipelines, Sentinels, and the seal on what is stored."""
