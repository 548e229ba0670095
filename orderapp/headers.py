"""Headers of every answer: what browsers must not do with it, which other origins may read it, whom a proxy speaks for."""

from collections.abc import Collection
from functools import partial

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from orderapp.access import PREFIX

# For answers that are data: nothing in them is to be run, shown in a frame or kept. Pages set their own beforehand.
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# Seconds. A year, as browsers' preload lists ask for; sent over HTTPS only, where it is true.
_HTTPS_ONLY = "max-age=31536000"

# What a page of another origin may send and read.
_MAY_SEND = "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID"
_MAY_READ = (
    "ETag, Idempotency-Replayed, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "
    "WWW-Authenticate, X-Request-ID"
)

# Seconds that a browser remembers the answer to its question: a change of CORS_ORIGINS is felt soon.
_REMEMBERED = "600"


def init_app(app: Flask, *, cors_origins: Collection[str], trusted_proxies: int) -> None:
    """Complete every answer; believe so many proxies in front about address, scheme and host, and nobody else.

    To be called before anything else that completes answers: what is called first comes last, and changes nothing.
    """
    app.after_request(_secure)
    if cors_origins:
        app.after_request(partial(_share, frozenset(cors_origins)))
    if trusted_proxies:
        count = trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_port=count)  # type: ignore[method-assign]


def _secure(response: Response) -> Response:
    headers = response.headers
    for name, value in _SECURITY.items():
        if name not in headers:
            headers.add(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", _HTTPS_ONLY)
    return response


def _share(origins: frozenset[str], response: Response) -> Response:
    if not request.path.startswith(PREFIX):
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _MAY_READ
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = _MAY_SEND
            response.headers["Access-Control-Max-Age"] = _REMEMBERED
    return response
