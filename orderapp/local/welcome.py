"""What `make run` says: words for people, no logs."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from config import Settings
from orderapp.local.plan import Plan
from orderapp.local.readiness import reachable_host

# The user's terminal; lines are never broken, so that they can be copied.
console = Console(highlight=False, soft_wrap=True)

# Laptop and Mouse, as `flask products seed` makes them: 110500.00 in all.
_ORDER = {"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]}


def addresses(settings: Settings, plan: Plan) -> dict[str, str]:
    """Return what runs where."""
    host = reachable_host(settings.web_host)
    found = {"API": f"http://{host}:{settings.port}/api/orders/", "Flower": f"http://127.0.0.1:{settings.flower_port}/"}
    if plan.receives_webhooks:
        found["Webhook receiver"] = f"http://127.0.0.1:{settings.receiver_port}/ (prints every webhook here)"
    return found


def welcome(settings: Settings, plan: Plan, data: Path | None) -> None:
    """Print where everything is and what to try; ``data`` is where the embedded PostgreSQL has its own."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, address in addresses(settings, plan).items():
        table.add_row(f"[bold]{name}[/]", address)
    if not plan.receives_webhooks:
        table.add_row("[bold]Webhooks to[/]", str(settings.webhook_url))
    table.add_row("[bold]Database[/]", f"embedded PostgreSQL in {data}" if data else "as DATABASE_URL says")
    if plan.embeds_broker:
        table.add_row("[bold]Broker[/]", "files: the try-it mode; for RabbitMQ set CELERY_BROKER_URL")
    else:
        table.add_row("[bold]Broker[/]", "as CELERY_BROKER_URL says")
    orders = addresses(settings, plan)["API"]
    console.rule("ready")
    console.print(table)
    console.print("\nAn order, and what became of it (with the id that the first line answers):\n")
    order = json.dumps(_ORDER)
    console.out(f"  curl -s -X POST {orders} -H 'Content-Type: application/json' -d '{order}'", highlight=False)
    console.out(f"  curl -s {orders}1/", highlight=False)
    console.print("\n`flask` commands in another terminal join this stack: .venv/bin/flask outbox status")
    console.print("Ctrl-C stops everything; the next start goes on with the same data.")
    console.rule()


def already_running(stack: dict[str, str]) -> str:
    """Return what to tell somebody who starts a second stack in one checkout."""
    urls = [f"  {name}: {stack[name]}" for name in ("API", "Flower", "Webhook receiver") if name in stack]
    pid = f" (process {stack['PID']})" if "PID" in stack else ""
    return "\n".join([f"this checkout runs already{pid}; Ctrl-C there stops it", *urls])
