"""Placeholder docstring, replaced by the package author."""
