"""The web page on which the pilot office checks links: standard library, on this machine only unless told otherwise."""

from __future__ import annotations

from pipeline.review.server import ReviewServer, make_server, serve

__all__ = ["ReviewServer", "make_server", "serve"]
