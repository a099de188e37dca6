"""The market: our price rule, bit for bit, among thousands of providers and requesters."""
