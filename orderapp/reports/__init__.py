"""Reports: what a day of sales came to.

Acts: summarising (compute a day's sales; find the days that are not up to date, and compute these).
Things: days (where days begin and end), totals (adding up), due (which days are to be done), queries, chart.
"""
