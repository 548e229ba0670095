"""Monitoring: whether the service is alive and able to work."""
