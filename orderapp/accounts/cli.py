"""Door: ``flask users`` and ``flask keys``."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from flask.cli import AppGroup

from orderapp import tables
from orderapp.access import ORDERS_READ, ORDERS_WRITE, SCOPES
from orderapp.accounts import issuing, queries, registering
from orderapp.accounts.roles import ROLES
from orderapp.audit import terminal_actor
from orderapp.database import reading
from orderapp.errors import OrderAppError

T = TypeVar("T")

users_cli = AppGroup("users", help="Who works with the panel.")

_password = click.option(
    "--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when it is not given."
)


@users_cli.command("create-superuser")
@click.option("--name", prompt=True, help="Asked for when it is not given.")
@_password
def create_superuser(name: str, password: str) -> None:
    """Create a user who may do everything."""
    _or_refuse(lambda: registering.create_superuser(name, password, terminal_actor()))
    click.echo(f"Superuser {name} created. Log in at /admin/.")


@users_cli.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="viewer sees, operator acts, superuser also prices.")
@_password
def create(name: str, role: str, password: str) -> None:
    """Create a user of any role."""
    _or_refuse(lambda: registering.create_user(name, password, role, terminal_actor()))
    click.echo(f"User {name} created, role {role}.")


@users_cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_all(as_json: bool) -> None:
    """List the users."""
    with reading() as session:
        rows = queries.list_users(session)
    tables.show(rows, as_json=as_json, empty="There are no users: flask users create-superuser.")


@users_cli.command("set-password")
@click.argument("name")
@_password
def set_password(name: str, password: str) -> None:
    """Give a user another password and end the user's sessions."""
    _or_refuse(lambda: registering.set_password(name, password, terminal_actor()))
    click.echo(f"The password of {name} is set; open sessions have ended.")


@users_cli.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Lock a user out and end the user's sessions."""
    _or_refuse(lambda: registering.disable_user(name, terminal_actor()))
    click.echo(f"User {name} is disabled.")


@users_cli.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Let a disabled user in again."""
    _or_refuse(lambda: registering.enable_user(name, terminal_actor()))
    click.echo(f"User {name} is enabled.")


keys_cli = AppGroup("keys", help="Who may use the API.")


@keys_cli.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=(ORDERS_READ, ORDERS_WRITE),
    show_default=True,
    help="Give it several times for several.",
)
def create_key(name: str, scopes: tuple[str, ...]) -> None:
    """Give the client NAME a key, and print it: this once.

    The client is made when there is none of this name. Orders belong to the client, whichever of its keys placed them.
    """
    key = _or_refuse(lambda: issuing.issue_key(name, scopes, terminal_actor()))
    click.echo(f"A key for {name}; it is not shown again:", err=True)  # apart, so that KEY=$(flask keys create ...) works
    click.echo(key)


@keys_cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_keys(as_json: bool) -> None:
    """List the keys by their prefixes."""
    with reading() as session:
        rows = queries.list_keys(session)
    if not as_json:
        rows = [_for_people(row) for row in rows]
    tables.show(rows, as_json=as_json, empty="There are no keys: flask keys create NAME.")


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row so narrow that a terminal of 80 columns shows the prefix whole: days for times."""
    days = {name.removesuffix("_at"): row[name] and row[name].date() for name in ("last_used_at", "revoked_at")}
    return {name: row[name] for name in ("prefix", "client", "scopes")} | days


@keys_cli.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """End a key, named by its prefix (or by all of it): the next request with it is refused."""
    prefix = prefix.partition("_")[0]
    _or_refuse(lambda: issuing.revoke_key(prefix, terminal_actor()))
    click.echo(f"Key {prefix} is revoked.")


def _or_refuse(act: Callable[[], T]) -> T:
    try:
        return act()
    except OrderAppError as error:
        raise click.ClickException(str(error)) from error
