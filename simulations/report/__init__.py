"""Reports that one command writes again: the price rule, the models beside papers, two results."""
