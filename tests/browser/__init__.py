"""The panel in a real browser, against real processes: what an operator sees, and what the page asks for."""
