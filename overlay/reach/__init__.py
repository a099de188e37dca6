"""Can others reach us? What they see of us, and whether a dial back arrives."""
