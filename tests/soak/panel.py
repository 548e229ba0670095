"""Every page of the panel on a large database, timed from outside."""

import re
import time
from statistics import quantiles

import click
import requests

from orderapp.accounts import passwords
from tests.journeys.world import World
from tests.soak.million import build
from tests.soak.shop import a_shop

# Milliseconds that 95 of 100 answers may take.
MOST = 300

NAME, PASSWORD = "vera", "correct horse battery"

# Of every so many orders one failed, was cancelled, lost its webhook; the newest are open. And what nobody has: an order
# without a lines' product, a message parked beside a million that are due.
_VARIETY = """
SET session_replication_role = replica;
UPDATE orders SET status = 'failed', total_amount = NULL, failure_reason = '{{"code": "insufficient_stock", "shortages": []}}'
    WHERE mod(id, 50) = 0;
UPDATE orders SET status = 'cancelled' WHERE mod(id, 70) = 1;
UPDATE orders SET status = 'pending', settled_at = NULL, total_amount = NULL, rescue_at = now() WHERE id > {last} - 300;
UPDATE webhook_deliveries SET state = 'exhausted' WHERE mod(id, 1000) = 0;
UPDATE webhook_deliveries SET state = 'pending', rescue_at = now(), finished_at = NULL WHERE id > {last} - 300;
INSERT INTO outbox (queue, task, subject_id, parked_at) SELECT 'orders', 'orders.process', n, CASE WHEN mod(n, 5000) = 0
    THEN now() END FROM generate_series(1, {last}) AS n;
INSERT INTO products (name, price, stock) SELECT 'Other product ' || n, 1, 5 FROM generate_series(1, 10000) AS n;
INSERT INTO audit_log (actor, action, subject, subject_id) SELECT 'user:vera', 'cancel', 'order', n * 10
    FROM generate_series(1, {last} / 100) AS n;
INSERT INTO daily_sales (day, currency, orders, items, revenue, failed, cancelled, average)
    SELECT current_date - n, 'USD', 100 + n, 200, 1000 + n, 3, 2, 10 FROM generate_series(1, 400) AS n;
INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT n, 21, 1, 1 FROM generate_series(1, 60) AS n;
SET session_replication_role = origin;
"""

# Each list as it opens, narrowed by each of its filters (by what is frequent, rare or not there), and deep inside.
PAGES = (
    "/admin/", "/admin/live/",
    "/admin/orders/", "/admin/orders/?before={half}", "/admin/orders/?after=10", "/admin/orders/?q={half}",
    "/admin/orders/?q=old-{half}", "/admin/orders/?q=nothing", "/admin/orders/?q=nothing&before={half}",
    *(f"/admin/orders/?status={one}" for one in ("pending", "processing", "confirmed", "failed", "cancelled")),
    "/admin/orders/?status=failed&before={half}", "/admin/orders/?since={long_ago}&until={long_ago}",
    "/admin/orders/?until={long_ago}", "/admin/orders/?status=failed&q=nothing",
    "/admin/orders/?status=failed&until={long_ago}",
    "/admin/orders/details/?id={half}", "/admin/orders/details/?id={failed}",
    "/admin/items/", "/admin/items/?order={half}", "/admin/items/?product=1", "/admin/items/?product=21",
    "/admin/items/?product=9999", "/admin/items/?product=1&before={half}",
    "/admin/products/", "/admin/products/?q=product", "/admin/products/?q=nothing", "/admin/products/details/?id=1",
    "/admin/sales/", "/admin/sales/revenue.svg?currency=USD", "/admin/sales/orders.svg?currency=USD",
    "/admin/deliveries/", "/admin/deliveries/?receiver=1", "/admin/deliveries/?receiver=2", "/admin/deliveries/?order={half}",
    *(f"/admin/deliveries/?state={one}" for one in ("pending", "succeeded", "exhausted", "disabled")),
    "/admin/deliveries/?receiver=1&state=exhausted",
    "/admin/endpoints/", "/admin/parked/", "/admin/parked/?queue=webhooks",
    "/admin/audit/", "/admin/audit/?actor=user:nobody", "/admin/audit/?subject=order&subject_id=10",
    "/admin/audit/?subject=product",
)  # fmt: skip


def panel(count: int, times: int) -> bool:
    """Build so many orders and ask for each page so often; returns whether all are quick enough."""
    with a_shop() as shop:
        build(shop.world, count)
        _vary(shop.world, count)
        shop.open("web")
        took = measure(shop.url, shop.world, count, times)
    return max(took.values()) < MOST


def _vary(world: World, count: int) -> None:
    world.rows(_VARIETY.format(last=count))
    world.rows("VACUUM ANALYZE")
    insert = "INSERT INTO users (name, password_hash, role) VALUES (%s, %s, 'superuser')"
    world.rows(insert, NAME, passwords.hash_of(PASSWORD))


def measure(url: str, world: World, count: int, times: int) -> dict[str, float]:
    """Return the 95th percentile of each page's answers in milliseconds, slowest last."""
    (long_ago,) = world.rows("SELECT date(min(created_at)) + 1 FROM orders")[0]
    values = {"half": count // 2, "failed": count // 2 // 50 * 50, "long_ago": long_ago}
    visitor = _logged_in(url)
    took = {}
    for page in PAGES:
        path = page.format(**values)
        answers = [_milliseconds(visitor, f"{url}{path}") for _ in range(times)]
        took[path] = quantiles(answers, n=20)[-1]
    for path, p95 in sorted(took.items(), key=lambda item: item[1]):
        click.echo(f"{p95:7.1f} ms  {path}")
    return took


def _logged_in(url: str) -> requests.Session:
    visitor = requests.Session()
    token = re.search(r'name="csrf_token" value="([^"]+)"', visitor.get(f"{url}/admin/login/", timeout=10).text)
    assert token
    form = {"name": NAME, "password": PASSWORD, "csrf_token": token[1]}
    assert visitor.post(f"{url}/admin/login/", form, timeout=10, allow_redirects=False).status_code == 302
    return visitor


def _milliseconds(visitor: requests.Session, address: str) -> float:
    began = time.perf_counter()
    answer = visitor.get(address, timeout=60, allow_redirects=False)
    assert answer.status_code == 200, (address, answer.status_code)
    return (time.perf_counter() - began) * 1000
