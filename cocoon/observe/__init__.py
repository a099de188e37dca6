"""What a running node shows its operator: a status, metrics, and nothing of any job's content."""
