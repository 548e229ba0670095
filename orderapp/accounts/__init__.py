"""Accounts: who places orders and who operates the service."""
