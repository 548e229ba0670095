"""What `make run` says: words for people, no logs."""

import json
from pathlib import Path

from rich.console import Console

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
    webhooks = {} if plan.receives_webhooks else {"Webhooks go to": str(settings.webhook_url)}
    database = f"embedded PostgreSQL in {data}" if data else "as DATABASE_URL says"
    broker = "files: the try-it mode; for RabbitMQ set CELERY_BROKER_URL" if plan.embeds_broker else "as CELERY_BROKER_URL says"
    rows = addresses(settings, plan) | webhooks | {"Database": database, "Broker": broker}
    orders = rows["API"]
    console.rule("ready")
    # No rich.Table: it would break long addresses, and these are for copying.
    for name, what in rows.items():
        console.print(f"[bold]{name:<18}[/]", end="")
        console.out(what, highlight=False)
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
