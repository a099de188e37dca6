"""What the overlay costs, beside plain py-libp2p in the same run: `python -m overlay.bench`."""
