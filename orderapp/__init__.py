"""The order service: ``create_app()`` introduces the rooms to each other.

The roof is the only place that knows every room; each room knows only the floors below it.
"""

from decimal import Decimal
from functools import partial
from typing import Any

import orjson
from flask import Flask
from flask.json.provider import DefaultJSONProvider

import config
import heartbeat
from orderapp import access, database, errors, failpoints, headers, logs, prepared, problem_pages, telemetry, traces, worker
from orderapp.accounts import bearer, guard, issuing, rates
from orderapp.accounts import cli as accounts_cli
from orderapp.accounts import models as accounts_models
from orderapp.admin import panel
from orderapp.admin import routes as admin_routes
from orderapp.drill import cli as drill_cli
from orderapp.monitoring import cli as monitoring_cli
from orderapp.monitoring import models as monitoring_models
from orderapp.monitoring import routes as monitoring_routes
from orderapp.orders import cli as orders_cli
from orderapp.orders import events as order_events
from orderapp.orders import models as orders_models
from orderapp.orders import routes as orders_routes
from orderapp.orders import tasks as orders_tasks  # noqa: F401 - Celery learns the tasks by the import
from orderapp.orders import timeline
from orderapp.outbox import cli as outbox_cli
from orderapp.outbox import models as outbox_models
from orderapp.products import cli as products_cli
from orderapp.products import models as products_models
from orderapp.products import routes as products_routes
from orderapp.reference import routes as reference_routes
from orderapp.reports import cli as reports_cli
from orderapp.reports import models as reports_models
from orderapp.reports import routes as reports_routes
from orderapp.reports import tasks as reports_tasks  # noqa: F401
from orderapp.webhooks import cli as webhooks_cli
from orderapp.webhooks import exchange as webhooks_exchange
from orderapp.webhooks import fan_out as webhooks_fan_out
from orderapp.webhooks import history as webhooks_history
from orderapp.webhooks import models as webhooks_models
from orderapp.webhooks import routes as webhooks_routes
from orderapp.webhooks import tasks as webhooks_tasks  # noqa: F401

# Imported here whether used or not: migrations compare the database with every table, and `flask shell` offers them.
_MODELS = (accounts_models, monitoring_models, orders_models, outbox_models, products_models, reports_models, webhooks_models)

# 64 KiB hold 100 items several times over; more is a mistake or an attack.
MAX_BODY = 64 * 1024


class OrjsonProvider(DefaultJSONProvider):
    """Flask's JSON by orjson, about eight times faster; money stays a decimal string."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Return JSON text."""
        return orjson.dumps(obj, default=self._fallback, option=orjson.OPT_UTC_Z).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        """Return the parsed value."""
        return orjson.loads(s)

    def _fallback(self, value: Any) -> Any:
        return str(value) if isinstance(value, Decimal) else self.default(value)


class OrderApp(Flask):
    """Flask without its question, twenty times per request, whether a function is a coroutine: none of ours is."""

    def ensure_sync(self, func: Any) -> Any:
        """Return the function as it is."""
        return func


def create_app(settings: config.Settings | None = None) -> Flask:
    """Return the application with every room at hand. Opens no connection, neither to PostgreSQL nor to the broker."""
    settings = settings or config.load()
    app = OrderApp(__name__, static_folder=None)
    app.json = OrjsonProvider(app)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY,
        API_TITLE="orderapp",
        API_VERSION=config.VERSION,
        OPENAPI_VERSION="3.1.0",
    )
    app.extensions["settings"] = settings
    failpoints.arm(settings.failpoints)
    logs.configure(settings.log_format, config.secrets_in(settings))
    traces.configure(settings.otel_exporter_otlp_endpoint)
    headers.init_app(app, cors_origins=settings.cors_origins, trusted_proxies=settings.trusted_proxies)
    telemetry.init_app(app)
    traces.init_app(app)
    logs.init_app(app)
    errors.init_app(app)
    database.init_app(app, settings.database_url, pool_size=settings.web_threads)
    prepared.init_app(app)
    worker.make_celery(app, settings.celery_broker_url)
    access.init_app(app, bearer.identify, rates.count, issuing.note_use)
    guard.init_app(app, secure=settings.app_env == "production")
    _open_doors(app)
    app.shell_context_processor(_shell_names)
    timeline.register(app, webhooks_history.attempts_about)
    if settings.events_exchange:
        order_events.subscribe(app, webhooks_exchange.announce)
    app.extensions["event_bodies"] = webhooks_exchange.bodies  # for the relay, which is below what words an event
    order_events.subscribe(app, partial(webhooks_fan_out.fan_out, enabled=settings.webhook_url is not None))
    return app


def _open_doors(app: Flask) -> None:
    api = errors.Api(app)
    api.register_blueprint(orders_routes.blueprint)
    api.register_blueprint(orders_routes.events)
    api.register_blueprint(products_routes.blueprint)
    api.register_blueprint(reports_routes.blueprint)
    api.register_blueprint(webhooks_routes.blueprint)
    app.register_blueprint(reference_routes.blueprint)
    problem_pages.init_app(app)
    app.register_blueprint(monitoring_routes.blueprint)
    app.register_blueprint(admin_routes.blueprint)
    panel.init_app(app)
    app.cli.add_command(reports_cli.reports_cli)
    app.cli.add_command(monitoring_cli.audit)
    app.cli.add_command(monitoring_cli.doctor)
    app.cli.add_command(drill_cli.drill)
    app.cli.add_command(heartbeat.health)
    for commands in (
        products_cli.products_cli,
        outbox_cli.outbox_cli,
        orders_cli.orders_cli,
        webhooks_cli.webhooks_cli,
        accounts_cli.users_cli,
        accounts_cli.keys_cli,
    ):
        app.cli.add_command(commands)


def _shell_names() -> dict[str, Any]:
    tables = {mapper.class_.__name__: mapper.class_ for mapper in database.Base.registry.mappers}
    return {"db": database.db, "reading": database.reading, **tables}
