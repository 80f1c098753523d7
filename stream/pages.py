"""The page for browsers: `/`, and the files that it loads.

It knows files and headers; what the page does is said in stream/browser/main.js.
"""

from importlib.resources import files
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response

FOLDER = "browser"
PAGE = "index.html"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "Cache-Control": "no-cache",
    # Nothing of elsewhere is loaded, and nobody frames the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}


def read_files() -> dict[str, Response]:
    """Return what is answered, by the names of the files; no others can be named."""
    return {
        file.name: Response(
            file.read_bytes(),
            media_type=TYPES[PurePath(file.name).suffix],
            headers=HEADERS,
        )
        for file in (files("stream") / FOLDER).iterdir()
        if PurePath(file.name).suffix in TYPES
    }


def wants_page(request: Request) -> bool:
    """Return whether whoever asks is a browser: programs do not name HTML."""
    return "text/html" in request.headers.get("accept", "")
