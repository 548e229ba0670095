"""Act: one drill. Orders come in while the service's processes are killed; afterwards there is a verdict."""

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from config import Settings
from orderapp.drill.cast import COMMAND, SHOWN, Cast, CastError
from orderapp.drill.scratch import scratch

# Seconds between two looks at whether the load has ended.
LOOK = 0.2

# Seconds for the last orders to settle: a lease, a rescue that doubled three times, and slow servers.
PATIENCE = 180

# Called with what was just done, in words.
Tell = Callable[[str], None]

# What the processes are not to have of the real service's settings. Blank counts as unset, also where .env has it: no
# receiver and no exchange hears of the drill's orders, and no port of a running process is taken.
_NOTHING = dict.fromkeys(
    ("WEBHOOK_URL", "EVENTS_EXCHANGE", "METRICS_LISTEN", "OTEL_EXPORTER_OTLP_ENDPOINT", "FAILPOINTS", "RATE_LIMIT"), ""
)
_PRIVATE = {"APP_ENV": "development", "REQUIRE_API_KEY": "false", "WEB_HOST": "127.0.0.1"}


@dataclass(frozen=True)
class Drill:
    """How long orders come in, how many a second, and seconds from kill to kill; the seed repeats orders and victims."""

    seconds: float
    rate: float
    every: float
    seed: int


@dataclass(frozen=True)
class Verdict:
    """What came of it: what the simulation and the audit reported, and how many processes were killed."""

    kills: int
    orders: dict[str, Any]
    violations: list[dict[str, Any]]

    @property
    def good(self) -> bool:
        """Tell whether nothing is lost, stuck, or at odds with anything else."""
        return bool(self.orders["good"]) and not self.violations


def rehearse(drill: Drill, settings: Settings, management: str | None, tell: Tell) -> Verdict:
    """Run one drill; nothing of it is left afterwards. Raises NoScratchError or CastError when there could be none."""
    with scratch(settings, management) as (folder, urls):
        tell("a database and a virtual host of its own are made")
        with Cast(settings, {**_NOTHING, **_PRIVATE, **urls}, folder) as cast:
            tell(f"{', '.join(cast.roles)} run; orders come in")
            load = cast.command("flask", "orders", "simulate", *_load(drill, cast.port))
            kills = _kill_until_it_ends(load.poll, cast, drill, tell)
            orders = _reported(cast, load)
            audit = _reported(cast, cast.command("flask", "audit", "--full", "--json"))
    return Verdict(kills, orders, audit["violations"])


def _reported(cast: Cast, command: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what a command reported as JSON, well (0) or not (1). Raises CastError when it could not report anything."""
    said = cast.finish(command, accepted=(0, 1))
    try:
        report: dict[str, Any] = orjson.loads(said)
    except orjson.JSONDecodeError as error:
        raise CastError(f"a command of the drill reported nothing: {cast.words_of(COMMAND)[-SHOWN:]}") from error
    return report


def _load(drill: Drill, port: int) -> list[str]:
    count = max(1, round(drill.seconds * drill.rate))
    words = {"count": count, "rate": drill.rate, "seed": drill.seed, "wait": PATIENCE, "url": f"http://127.0.0.1:{port}"}
    return ["--json", *(f"--{name}={value}" for name, value in words.items())]


def _kill_until_it_ends(ended: Callable[[], int | None], cast: Cast, drill: Drill, tell: Tell) -> int:
    """Kill somebody now and then while orders come in, and let the rest be settled in peace; returns how many were killed."""
    chance = random.Random(drill.seed)  # noqa: S311 - must repeat itself
    while ended() is None and "order placed" not in cast.words_of("web"):
        time.sleep(LOOK)  # the load begins with a look at whether the API is there
    began, kills, roles = time.monotonic(), 0, list[str]()
    while ended() is None:
        time.sleep(LOOK)
        now = time.monotonic() - began
        if now < drill.seconds and now > (kills + 1) * drill.every:
            roles = roles or chance.sample(cast.roles, len(cast.roles))  # everybody once before anybody twice
            role = roles.pop()
            cast.kill(role)
            kills += 1
            tell(f"{now:.0f} s: killed {role}")
    return kills
