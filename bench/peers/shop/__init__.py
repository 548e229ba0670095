"""A Django REST order service of the usual kind: nested serializer, transaction.atomic, on_commit, a Celery task per order."""
