"""Reports: what a day of sales came to.

Acts: summarising (compute a day's sales).
"""
