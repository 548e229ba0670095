"""Flower shows every order's tasks and asks nobody who he is, on all addresses: here it learns our settings.

However it is started (arguments, FLOWER_ variables, flowerconfig.py), it asks for a login or stays on loopback.
"""

from ipaddress import ip_address
from typing import Any

import click
from celery.signals import import_modules

import config


def init(login: str | None, port: int) -> None:
    """Have ``celery -A celery_worker flower`` take the login and port of our settings where it is told no others."""

    def before_it_listens(**_signal: Any) -> None:
        # Flower sends this signal when all its options are read and no socket is open yet. So do the others of Celery.
        command = click.get_current_context(silent=True)
        if command is not None and command.info_name == "flower":
            from tornado.options import options  # noqa: PLC0415 - only Flower's process needs Tornado

            _close(options, login, port)

    import_modules.connect(before_it_listens, weak=False)


def _close(options: Any, login: str | None, port: int) -> None:
    """Set login and address. Raises SystemExit where anybody could come in."""
    options.basic_auth = [one for one in options.basic_auth or [] if one.strip()] or (login.split(",") if login else [])
    if options.port == options._options["port"].default:  # noqa: SLF001 - there is no other way to ask
        options.port = port
    if options.basic_auth or options.auth or options.unix_socket:
        return
    options.address = options.address or "127.0.0.1"
    if not _is_loopback(options.address):
        raise SystemExit(
            f"Flower would show everything to everybody who reaches {options.address}: "
            "set FLOWER_BASIC_AUTH=user:password, or leave the address out and it stays on 127.0.0.1."
        )


def _is_loopback(address: str) -> bool:
    try:
        return address in config.LOOPBACK or ip_address(address).is_loopback
    except ValueError:  # a name: whatever it means today
        return False
