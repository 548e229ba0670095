"""POST and GET over HTTP, beside FastAPI, Flask's and Django's usual ways, and what PostgreSQL and Flask can do at most."""

from collections.abc import Callable

import requests

from bench import load
from bench.measuring import Case, Contestants, Measured, Outcome, offer
from bench.stage import Stage, sql

# Two of them, as our own web has.
GUNICORN = ("gunicorn", "-c", "bench/peers/gunicorn.conf.py", "-b", "127.0.0.1:PORT")
UVICORN = ("uvicorn", "--workers", "2", "--port", "PORT", "--log-level", "error", "--no-access-log")

# Orders that GETs choose from.
ORDERS = 1000

# Both processes have then opened a connection and imported what they import late.
WARM_UP = 50

ORDER = {"items": [{"product_id": 3, "quantity": 2}, {"product_id": 4, "quantity": 1}]}

Start = Callable[[], Callable[[float], Measured]]


def with_products(stage: Stage) -> str:
    """Return a migrated database with a thousand products to sell."""
    database = stage.database()
    sql(
        database,
        "WITH p AS (INSERT INTO products (name, price, stock) SELECT 'Product ' || n, 1 + n %% 100, %s"
        " FROM generate_series(1, %s) AS n RETURNING id, stock)"
        " INSERT INTO stock_movements (product_id, delta, kind) SELECT id, stock, 'opening' FROM p",
        # No run sells a billion.
        (1_000_000_000, load.PRODUCTS),
    )
    return database


def posts(url: str) -> Callable[[float], float]:
    """Return what measures POSTs; it has served a few before."""

    def measure(seconds: float) -> float:
        return load.wrk(f"{url}/api/orders/", "post.lua", seconds, str(load.PRODUCTS))

    for _ in range(WARM_UP):
        requests.post(f"{url}/api/orders/", json=ORDER, timeout=30).raise_for_status()
    return measure


def flask_orm(stage: Stage) -> tuple[dict[str, str], str]:
    """Start the idiomatic Flask service; return its environment and URL."""
    environment = {"DATABASE_URL": stage.empty_database(), "CELERY_BROKER_URL": stage.vhost()}
    done = stage.peer("prepare", "flask", "-A", "bench.peers.flask_orm", "prepare", environment=environment)
    stage.await_end(done)
    return environment, stage.peer("flask", *GUNICORN, "bench.peers.flask_orm:app", environment=environment, serves=True).url


def django(stage: Stage) -> tuple[dict[str, str], str]:
    """Start the Django service; return its environment and URL."""
    environment = {"DATABASE_URL": stage.empty_database(), "CELERY_BROKER_URL": stage.vhost()}
    stage.await_end(stage.peer("prepare", "python", "-m", "bench.peers.shop.prepare", environment=environment))
    return environment, stage.peer(
        "django", *GUNICORN, "bench.peers.shop.wsgi:application", environment=environment, serves=True
    ).url


def _post(stage: Stage, outcome: Outcome) -> Contestants:
    database, by_hand = with_products(stage), with_products(stage)

    def fastapi() -> Callable[[float], Measured]:
        own = stage.empty_database()
        environment = {"DATABASE_URL": own}
        create = "import asyncio, asyncpg, os\nfrom bench.peers.fastapi_asyncpg import TABLES\n"
        create += "async def main():\n c = await asyncpg.connect(os.environ['DATABASE_URL'])\n await c.execute(TABLES)\n"
        stage.await_end(stage.peer("tables", "python", "-c", f"{create}asyncio.run(main())", environment=environment))
        return posts(
            stage.peer("fastapi", *UVICORN, "bench.peers.fastapi_asyncpg:app", environment=environment, serves=True).url
        )

    contestants: list[tuple[str, Start]] = [
        ("ours", lambda: posts(stage.ours(database).web().wait_ready().url)),
        ("pgbench", lambda: lambda seconds: load.pgbench(by_hand, "post.sql", seconds=seconds)),
        ("fastapi", fastapi),
        ("flask-orm", lambda: posts(flask_orm(stage)[1])),
        ("django", lambda: posts(django(stage)[1])),
    ]
    return offer(outcome, contestants)


def _get(stage: Stage, outcome: Outcome) -> Contestants:
    url = stage.ours(with_products(stage)).web().wait_ready().url
    with requests.Session() as session:
        for _ in range(ORDERS):
            session.post(f"{url}/api/orders/", json=ORDER, timeout=10).raise_for_status()
        size = str(len(session.get(f"{url}/api/orders/{ORDERS}/", timeout=10).content))
    outcome.note(f"an order takes {size} bytes")

    def gets(base: str) -> Callable[[float], float]:
        return lambda seconds: load.wrk(f"{base}/api/orders/", "get.lua", seconds, str(ORDERS))

    def constant() -> Callable[[float], float]:
        environment = {"SIZE": size}
        return gets(stage.peer("constant", *GUNICORN, "bench.peers.constant:app", environment=environment, serves=True).url)

    return offer(outcome, [("ours", lambda: gets(url)), ("constant", constant)])


CASES = (
    Case("post", "POST of an order of two products", "orders/s", _post),
    Case("get", "GET of one order", "answers/s", _get),
)
