"""The webhooks room: from an order's event to what a receiver sees."""

SECRET = "whsec_dGVzdC1zZWNyZXQtdGVzdC1zZWNyZXQtdGVzdA=="
