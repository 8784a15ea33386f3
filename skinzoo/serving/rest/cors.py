"""Pages of other origins as clients of REST."""

from __future__ import annotations

from typing import Any

_METHODS = ("GET", "POST")
_HEADERS = ("Authorization", "Content-Type")


def cors() -> Any:
    """Return the starlette middleware that lets a browser's page of any origin ask.

    No cookies are allowed: a page that is to be answered must itself have the token.
    """
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware

    return Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=list(_METHODS), allow_headers=list(_HEADERS)
    )
