"""The broker of `make run`: what a message goes through between two processes, without Celery."""
