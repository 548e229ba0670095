"""Door: ``flask users``."""

from collections.abc import Callable

import click
from flask.cli import AppGroup

from orderapp import tables
from orderapp.accounts import queries, registering
from orderapp.accounts.roles import ROLES
from orderapp.audit import terminal_actor
from orderapp.database import reading
from orderapp.errors import OrderAppError

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


def _or_refuse(act: Callable[[], object]) -> None:
    try:
        act()
    except OrderAppError as error:
        raise click.ClickException(str(error)) from error
