"""A local HTTP server in the shape of OpenAI's API: existing programs buy from the swarm."""
