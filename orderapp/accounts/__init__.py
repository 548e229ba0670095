"""Accounts: who places orders and who operates the service.

Acts: registering (users are created, disabled, get another password), authenticating (a user logs in and out), issuing
(API keys are made and revoked).
"""
