"""Order services as the documentation of their frameworks teaches them; they run in bench/.venv and know nothing of ours."""
