"""Streams that outlive their connections: what was on its way is sent again, and nothing twice."""
