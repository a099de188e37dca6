"""What we keep in the distributed hash table: signed records and provider keys."""
