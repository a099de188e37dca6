"""Large contents from peer to peer: named by their hash, checked, resumable, bounded."""
