"""Admin: the panel at /admin/, where operators see everything and act.

Every change calls the act that the API and the terminal call; the panel itself writes nothing. ``gate`` decides who comes
in, ``rights`` is the table of who may do what, ``view`` is what all pages have in common, ``panel`` puts them together.
"""
