"""What the server answers at which address; refusals before a WebSocket is opened.

GET /           for browsers the page, for programs what this is and where its parts are
GET /browser/…  what the page loads
GET /health     200 once the model has warmed up, 503 before and while stopping
GET /metrics    Prometheus
WS  /v1/stream  the native protocol

and OpenAI's interfaces, whose addresses are in stream/protocols/openai_http.py and
openai_realtime.py.
"""

import asyncio
import base64
from dataclasses import asdict
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.replicas import ReplicaFigures, Replicated
from stream import pages
from stream.auth import ClientSecrets, ForeignOriginError, authorize
from stream.errors import StreamError, UnauthorizedError
from stream.events import PROTOCOL_VERSION, Error
from stream.hub import Hub
from stream.metrics import CONTENT_TYPE
from stream.protocols import (
    openai_chat,
    openai_http,
    openai_realtime,
    openai_secrets,
)
from stream.protocols.native import SUBPROTOCOL, NativeConnection

STREAM_PATH = "/v1/stream"
TOKEN_SUBPROTOCOL = f"{SUBPROTOCOL}.bearer."
"""Before a token in base64url, which a page offers: it cannot send headers."""
RETRY_S = 5  # what a refused client is told to wait, in seconds


def build_app(hub: Hub) -> Starlette:
    """Return the application of a server."""
    issued = ClientSecrets()
    page = pages.read_files()

    async def index(request: Request) -> Response:
        if pages.wants_page(request):
            return page[pages.PAGE]
        return JSONResponse(
            {
                "name": "salmonn-live",
                "version": version("salmonn-live"),
                "protocol": PROTOCOL_VERSION,
                "stream": STREAM_PATH,
                "health": "/health",
                "metrics": "/metrics",
            },
            headers={"Vary": "Accept"},
        )

    async def browser(request: Request) -> Response:
        name = request.path_params["name"]
        return page.get(name) or PlainTextResponse("not found", status_code=404)

    async def health(request: Request) -> Response:
        info = hub.engine.info
        return JSONResponse(
            {
                "status": hub.status,
                "model": info.model,
                "engine": info.description,
                "tasks": info.tasks,
                "prompted_tasks": info.prompted_tasks,
                "answers_questions": info.answers_questions,
                "max_speakers": info.max_speakers,
                "max_watches": hub.config.watches.max_per_session
                if info.answers_questions
                else 0,
                "sounds": [sound.caption for sound in info.sounds],
                "languages": info.languages,
                "sessions": len(hub.streams),
                "version": version("salmonn-live"),
                "segmenter": asdict(hub.config.segmenter),
            },
            status_code=200 if hub.status == "ready" else 503,
        )

    async def metrics(request: Request) -> Response:
        engine = hub.engine
        replicas: tuple[ReplicaFigures, ...] = ()
        if isinstance(engine, Replicated):
            replicas = tuple(await asyncio.to_thread(engine.replicas))
        return Response(hub.metrics.render(replicas), media_type=CONTENT_TYPE)

    async def stream(websocket: WebSocket) -> None:
        try:
            owner = authorize(_headers(websocket), hub.config.auth)
            hub.admit(owner)
        except StreamError as exc:
            hub.metrics.refused.labels(exc.code).inc()
            await websocket.send_denial_response(_refusal(exc))
            return
        try:
            await NativeConnection(websocket, hub, owner).run()
        except WebSocketDisconnect:
            pass  # it went before it was told anything
        finally:
            hub.leave(owner)

    return Starlette(
        routes=[
            Route("/", index),
            Route(f"/{pages.FOLDER}/{{name}}", browser),
            Route("/health", health),
            Route("/metrics", metrics),
            WebSocketRoute(STREAM_PATH, stream),
            *openai_http.routes(hub),
            *openai_chat.routes(hub),
            *openai_realtime.routes(hub, issued),
            *openai_secrets.routes(hub, issued),
        ]
    )


def _headers(websocket: WebSocket) -> dict[str, str]:
    """Return the headers, with the token that a page sends as a subprotocol."""
    headers = dict(websocket.headers)
    for offered in websocket.scope["subprotocols"]:
        if offered.startswith(TOKEN_SUBPROTOCOL):
            encoded = offered.removeprefix(TOKEN_SUBPROTOCOL)
            try:
                token = base64.urlsafe_b64decode(f"{encoded}==").decode()
            except ValueError:  # what is no base64 is no token that we know
                token = encoded
            headers["authorization"] = f"Bearer {token}"
    return headers


def _refusal(error: StreamError) -> Response:
    """Return the HTTP answer to a handshake that is not accepted."""
    status, headers = 503, {"Retry-After": str(RETRY_S)}
    if isinstance(error, ForeignOriginError):
        status, headers = 403, {}
    elif isinstance(error, UnauthorizedError):
        status, headers = 401, {"WWW-Authenticate": "Bearer"}
    body = Error(seq=0, code=error.code, message=str(error))
    return JSONResponse(
        {"type": body.type, "code": body.code, "message": body.message},
        status_code=status,
        headers=headers,
    )
