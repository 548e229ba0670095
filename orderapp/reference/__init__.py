"""The reference of the API for those who integrate it: the OpenAPI description and a page to read and try it.

No acts: nothing changes here.
"""
