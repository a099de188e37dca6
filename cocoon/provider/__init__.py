"""Sells compute: quotes, admission, the job session, and the worker processes."""
