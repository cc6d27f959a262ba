"""`/results/…`: the files themselves, as S3 gives them out, and what can go wrong with that."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from service.amc.sandbox.gate import WRITE, hang_up
from service.amc.sandbox.sandbox import Sandbox

_MEDIA_TYPE = "binary/octet-stream"


async def result(request: Request) -> Response:
    """A result file, for whoever has the signed address; S3 refuses a second login beside it."""
    sandbox: Sandbox = request.app.state.sandbox
    faults = sandbox.faults
    if any(name.startswith(("amazon-advertising", "authorization")) for name in request.headers):
        return _error(400, "InvalidArgument")
    query = request.query_params
    expires, signature = query.get("X-Amz-Expires", ""), query.get("X-Amz-Signature", "")
    if not sandbox.signer.accepts(request.url.path, expires, signature) or faults.url_expires():
        return _error(403, "AccessDenied", "Request has expired")
    execution = sandbox.executions.get(request.path_params["execution_id"])
    number = request.path_params["number"]
    if execution is None or number >= len(execution.files):
        return _error(404, "NoSuchKey")
    sandbox.stats.downloads += 1
    file = sandbox.results / execution.files[number]
    if faults.answers_page():
        return _error(200, "InternalError", f"We encountered an internal error. {request.url}")
    if faults.shortens_download():
        return _Shortened(file, faults.faults.cut_at)
    if faults.breaks_download():
        return _Broken(file, faults.faults.cut_at)
    whole = FileResponse(file, media_type=_MEDIA_TYPE, stat_result=file.stat())
    if "range" in request.headers or int(whole.headers["content-length"]) > FileResponse.chunk_size:
        return whole
    # At once: each of a file response's four turns in a thread costs more than the file.
    return Response(file.read_bytes(), headers=whole.headers)


class _Shortened(Response):
    """The beginning of a file, of no length but where the connection is closed: HTTP/1.0's way, as of an old proxy."""

    def __init__(self, file: Path, share: float) -> None:
        super().__init__(media_type=_MEDIA_TYPE)
        self._file, self._share = file, share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = self._file.read_bytes()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {_MEDIA_TYPE}\r\nconnection: close\r\n\r\n".encode()
        await scope["extensions"][WRITE](head + content[: int(len(content) * self._share)])


class _Broken(FileResponse):
    """A file whose connection is cut after a share of what was asked for."""

    def __init__(self, file: Path, share: float) -> None:
        super().__init__(file, media_type=_MEDIA_TYPE)
        self._share = share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = 0

        async def cut(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                left = int(int(headers[b"content-length"]) * self._share)
                await send(message)
            elif len(message.get("body", b"")) < left:
                left -= len(message.get("body", b""))
                await send(message)
            else:
                await send({**message, "body": message["body"][:left], "more_body": True})
                await hang_up(scope, send)
                raise _HungUp

        try:
            await super().__call__(scope, receive, cut)
        except _HungUp:
            return


class _HungUp(Exception):
    """The connection is gone; nothing more is sent."""


def _error(status: int, code: str, message: str = "") -> Response:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(body, status, media_type="application/xml")


ROUTES = [Route("/results/{execution_id}/{number:int}", result, methods=["GET"])]
