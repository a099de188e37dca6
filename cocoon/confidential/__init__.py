"""Keeping a job between the requester's node and the process that runs it."""
