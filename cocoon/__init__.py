"""The Cocoon node: everything that gives the bytes of the overlay a meaning."""

__version__ = "0.1.0"
