"""Clients and operators, who use the service from outside and remember what they were told."""

from decimal import Decimal
from typing import Any

import orjson

from orderapp.errors import ConflictError
from orderapp.orders.retrying import retry_order
from orderapp.products.changes import ProductChange
from orderapp.products.editing import create_product, edit_product, restock_product
from orderapp.webhooks.registering import disable_endpoint, enable_endpoint
from orderapp.webhooks.replaying import resend
from tests.simulation.outside import Asked, Dice, Outside
from tests.simulation.processes import Service
from tests.simulation.stage import Stage

# A request that was refused for good reasons, or for reasons that pass.
UNANSWERED = {409, 500, 503}


class People:
    """Who places, cancels, retries, restocks and reads."""

    def __init__(self, stage: Stage, service: Service, outside: Outside, dice: Dice) -> None:
        self._stage = stage
        self._service = service
        self._outside = outside
        self._dice = dice
        self._client = stage.app.test_client()
        self.products: list[int] = []

    def stock(self, *units: int) -> None:
        """Have products, before anything else happens."""
        with self._stage.app.app_context():
            self.products = [
                create_product(f"Product {number}", Decimal(1 + number), each) for number, each in enumerate(units)
            ]

    def ask(self, items: dict[int, int], *, key: bool) -> str:
        """Place an order that nobody has placed before."""
        reference = f"order-{len(self._outside.asked)}"
        asked = Asked(reference, items, f"key-{reference}" if key else None)
        self._outside.asked.append(asked)
        return self.post(asked)

    def ask_again(self) -> str:
        """Repeat a POST that was not answered; one under a key may be repeated even when it was."""
        again = [asked for asked in self._outside.asked if asked.key]
        return self.post(self._dice.random.choice(again)) if again else "nobody"

    def unanswered(self) -> list[Asked]:
        """Return the orders whose clients still want an answer."""
        return [asked for asked in self._outside.asked if asked.key and asked.answer is None]

    def post(self, asked: Asked) -> str:
        """Send one POST and take down the answer."""
        items = [{"product_id": product, "quantity": units} for product, units in asked.items.items()]
        headers = {"Idempotency-Key": asked.key} if asked.key else {}
        status, body = self._send("POST", "/api/orders/", json={"items": items, "reference": asked.reference}, headers=headers)
        if status == 201:
            if asked.answer not in {None, body}:
                self._outside.faults.append(f"{asked.reference} was answered in two ways: {asked.answer!r} and {body!r}")
            asked.answer = body
        elif status not in UNANSWERED | {0}:
            self._outside.faults.append(f"POST was answered {status}: {body}")
        return f"{asked.reference} {asked.items}: {status or 'no answer'} {asked.order_id or ''}".rstrip()

    def cancel(self, order_id: int) -> str:
        """Cancel an order by the API."""
        status, _ = self._send("POST", f"/api/orders/{order_id}/cancel/")
        if status == 200:
            self._outside.cancelled.add(order_id)
        return f"order {order_id}: {status or 'no answer'}"

    def read_feed(self) -> str:
        """Read on in the feed of events."""
        cursor = self._outside.cursor
        status, body = self._send("GET", f"/api/events/?after={cursor}")
        if status == 200 and cursor == self._outside.cursor:  # else somebody has read on meanwhile
            page = orjson.loads(body)
            self._outside.cursor = page["next"]
            self._outside.feed += [event["id"] for event in page["data"]]
            return f"200: {len(page['data'])} event(s)"
        return str(status or "no answer")

    def retry(self, order_id: int) -> str:
        """Send a failed order through again."""
        return self._service.attempt(lambda: retry_order(order_id, "Alice")) or f"order {order_id}"

    def restock(self, product_id: int, units: int) -> str:
        """Add units that arrived."""
        return self._service.attempt(lambda: restock_product(product_id, units, "arrived", "Bob")) or f"product {product_id}"

    def reprice(self, product_id: int, cents: int) -> str:
        """Change a price; what was ordered before keeps its own."""
        change = ProductChange(price=Decimal(cents) / 100)
        return self._service.attempt(lambda: edit_product(product_id, change, "Bob")) or f"product {product_id}"

    def resend(self, delivery_id: int) -> str:
        """Send a webhook again."""
        return self._service.attempt(lambda: resend(delivery_id, "Alice")) or f"delivery {delivery_id}"

    def switch(self, endpoint_id: int) -> str:
        """Disable an endpoint; enable it when it is disabled."""

        def off_or_on() -> None:
            try:
                disable_endpoint(endpoint_id, None, "Alice")
            except ConflictError:
                enable_endpoint(endpoint_id, None, "Alice")

        return self._service.attempt(off_or_on) or f"endpoint {endpoint_id}"

    def _send(self, method: str, path: str, **options: Any) -> tuple[int, bytes]:
        """Return status and body of the answer; 0 when none came."""
        answers: list[Any] = []
        end = self._service.attempt(lambda: answers.append(self._client.open(path, method=method, **options)), inside=False)
        return (0, end.encode()) if end else (answers[0].status_code, answers[0].data)
