"""Frames on streams, requests and answers."""
