"""Orders: placed, processed once whoever does it and how often, rescued."""
