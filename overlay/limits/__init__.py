"""How much of us others may use: budgets, standing, and tickets for strangers under load."""
