"""The sandbox on the network: one aiohttp handler that finds the surface by path, and carries out
the faults.

There is no router and no middleware: the other side of a throughput benchmark should spend its time
on the requests.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from sandbox.control.api import Control
from sandbox.entra import LoginAnswer
from sandbox.errors import GraphError
from sandbox.faults import Fired
from sandbox.federation import PLATFORMS
from sandbox.graph import Call, Reply, batch_operations, fired_error, operation_of
from sandbox.options import OptionError
from sandbox.serving.consent_page import admin_consent
from sandbox.serving.mail_pages import mail_list, mail_page
from sandbox.serving.network import reset_on_close
from sandbox.serving.pages import overview, redeem
from sandbox.serving.signin_pages import Shown, authorize
from sandbox.serving.smtp import MailServer
from sandbox.tokens import Caller, TokenError, random_guid
from sandbox.world import World

_MAX_BODY = 4 * 1024 * 1024
_ANSWER_PAGE = (
    b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)
_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"1","ScaleUnit":"000","RoleInstance":"SANDBOX"}}'
)


class Server:
    """Serves one `World` over HTTPS on loopback."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mail = MailServer(world)
        self._control = Control(world)
        self._runner: web.ServerRunner | None = None
        self._ended = asyncio.Event()

    async def start(self) -> tuple[str, int]:
        """Listen; return the base URL and the port. Raises `OptionError` if it cannot be had."""
        options = self.world.options
        files = self.world.server_files
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.chain_file, files.key_file)
        server = web.Server(self._handle, request_factory=_make_request, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, options.host, options.port, ssl_context=context, backlog=1_024)
        try:
            await site.start()
            await self.mail.start()
        except OSError as error:
            await self.stop()
            reason = os.strerror(error.errno) if error.errno else str(error)
            asked = sorted({options.port, options.smtp_port, options.starttls_port} - {0}) or [0]
            ports = " or ".join(map(str, asked))
            raise OptionError(f"The sandbox cannot listen on {options.host} port {ports}: {reason}.") from None
        port = int(self._runner.addresses[0][1])
        host = f"[{options.host}]" if ":" in options.host else options.host
        base_url = f"https://{host}:{port}"
        self.world.listening(base_url, port)
        return base_url, port

    async def stop(self) -> None:
        """Stop listening, end what still waits, close the connections."""
        self._ended.set()
        await self.mail.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._json(413, {"error": {"code": "RequestEntityTooLarge", "message": "The request is too large."}})
        if path.startswith("/v1.0/"):
            return await self._graph(request, request.raw_path[5:], body)
        if path.startswith("/beta/"):
            return await self._graph(request, request.raw_path, body)
        if path.startswith("/_sandbox/"):
            if not _from_loopback(request):
                return self._json(403, {"error": "The control API answers on loopback only."})
            content_type = request.headers.get("Content-Type", "")
            return self._json(*self._control.answer(request.method, path[10:], query, content_type, body))
        if path == "/" and request.method == "GET":
            return _html(200, overview(self.world))
        if path.startswith("/mails") and request.method == "GET":
            return self._mails(path)
        if path == "/redeem" and request.method in ("GET", "POST"):
            return self._redeem(request.method, query)
        if path in PLATFORMS:
            found = self.world.federation.answer(path, query, request.headers)
            answer = self._json(found.status, found.body)
            answer.headers.update(found.headers)
            return answer
        return await self._login(request, path, query, body)

    async def _graph(self, request: web.BaseRequest, target: str, body: bytes) -> web.StreamResponse:
        graph, headers = self.world.graph, request.headers
        client_request_id = headers.get("client-request-id", "")
        operation = operation_of(request.method, target)
        try:
            caller = self.world.tokens.verify(headers.get("Authorization"))
        except TokenError as error:
            refusal = GraphError(401, "InvalidAuthenticationToken", str(error), {"WWW-Authenticate": 'Bearer realm=""'})
            request_id = graph.request_id()
            reply = graph.refusal(refusal, request_id, client_request_id)
            self._note(request, operation, reply, None, None, client_request_id)
            return self._answer(reply, request_id, client_request_id)
        call = graph.call(caller, client_request_id)
        place = graph.place(caller, request.method, target) if operation in graph.limited else ""
        if place and not graph.enter(place):
            reply = graph.refusal(graph.crowded(caller), call.request_id, client_request_id)
            self._note(request, operation, reply, caller, None, client_request_id)
            return self._answer(reply, call.request_id, client_request_id)
        try:
            return await self._serve(request, target, body, operation, call)
        finally:
            if place:
                graph.leave(place)

    async def _serve(
        self, request: web.BaseRequest, target: str, body: bytes, operation: str, call: Call
    ) -> web.StreamResponse:
        """Answer one request of a signed-in caller, with latency and the fault that strikes."""
        graph, headers, caller = self.world.graph, request.headers, call.caller
        client_request_id = call.client_request_id

        def process() -> Reply:
            call.stamp = self.world.clock.stamp()
            call.meter = self.world.quotas.meter(caller.tenant.id, caller.app.client_id)  # refilled, as time has passed
            return graph.answer(call, request.method, target, headers, body)

        fired = None
        if self.world.faults.envelope:
            operations = batch_operations(body) if operation == "batch" else (operation,)
            fired = self.world.faults.for_request(operations)
        if fired is None and not (caller.tenant.latency or self.world.options.latency):
            reply = graph.answer(call, request.method, target, headers, body)
            self._note(request, operation, reply, caller, None, client_request_id)
            return self._answer(reply, call.request_id, client_request_id)
        return await self._troubled(request, operation, caller, call.request_id, fired, process)

    async def _troubled(
        self,
        request: web.BaseRequest,
        operation: str,
        caller: Caller | None,
        request_id: str,
        fired: Fired | None,
        process: Callable[[], Reply],
    ) -> web.StreamResponse:
        """Answer with latency, half of it before processing, and with the fault that struck."""
        client_request_id = request.headers.get("client-request-id", "")
        latency = (caller and caller.tenant.latency) or self.world.options.latency
        latency_s = latency.at(self.world.chance.random())
        await self._wait(latency_s / 2)
        reply = None if fired is not None and _unprocessed(fired) else process()
        if fired is None:
            assert reply is not None
            self._note(request, operation, reply, caller, None, client_request_id)
            await self._wait(latency_s / 2)
            return self._answer(reply, request_id, client_request_id)
        answer, seen = self._struck(fired, reply, caller, request_id, client_request_id)
        self._note(
            request, operation, Reply(seen, {}, b"", reply.items if reply else None), caller, fired, client_request_id
        )
        if fired.action == "slow":
            await self._wait(fired.seconds)
        await self._wait(latency_s / 2)
        if fired.action == "hang":
            while not self._ended.is_set() and request.transport is not None and not request.transport.is_closing():
                await self._wait(0.2)
            return _reset(request)
        if fired.action == "reset":
            return _reset(request)
        if fired.action == "truncated":
            return await self._truncated(request, answer, request_id, client_request_id)
        return self._answer(answer, request_id, client_request_id)

    def _struck(
        self, fired: Fired, reply: Reply | None, caller: Caller | None, request_id: str, client_request_id: str
    ) -> tuple[Reply, int]:
        """Return what a fault makes of an answer, and the status its caller sees (0: none)."""
        graph = self.world.graph
        if fired.action == "status":
            struck = graph.refusal(fired_error(fired, caller), request_id, client_request_id)
            return struck, struck.status
        if fired.action in ("expired", "invalid-token"):
            message = "Access token validation failure."
            if fired.action == "expired":
                message = "Lifetime validation failed, the token is expired."
                if caller is not None:
                    self.world.tokens.revoke(caller)
            refusal = GraphError(401, "InvalidAuthenticationToken", message)
            return graph.refusal(refusal, request_id, client_request_id), 401
        if fired.action == "html":
            return Reply(fired.status, {"Content-Type": "text/html"}, _ANSWER_PAGE), fired.status
        if fired.action in ("reset", "hang"):
            return Reply(0, {}, b""), 0
        assert reply is not None  # truncated and slow are always processed
        return reply, reply.status

    async def _login(self, request: web.BaseRequest, path: str, query: str, body: bytes) -> web.StreamResponse:
        parts = path.strip("/").split("/")
        host = request.headers.get("Host", "localhost")
        base_url, login = f"https://{host}", self.world.login
        correlation_id = request.headers.get("client-request-id", "")
        asked = (request.method, *parts[1:])
        operation = "discovery"
        answer: Callable[[], LoginAnswer]
        if asked == ("GET", "v2.0", ".well-known", "openid-configuration"):
            answer = partial(login.discover_tenant, base_url, parts[0])
        elif asked == ("GET", "discovery", "instance"):
            answer = partial(login.discover_instance, base_url, host)
        elif asked == ("GET", "discovery", "v2.0", "keys"):
            answer = partial(LoginAnswer, 200, self.world.sign_in.keys.published())
        elif asked[1:] == ("oauth2", "v2.0", "authorize") and request.method in ("GET", "POST"):
            return _shown(authorize(self.world.sign_in, request.method, parts[0], query, body))
        elif asked[1:] == ("adminconsent",) and request.method in ("GET", "POST"):
            return _html(*admin_consent(self.world.directory, request.method, parts[0], query))
        elif asked == ("POST", "oauth2", "v2.0", "token"):
            content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if content_type != "application/x-www-form-urlencoded":
                return self._json(
                    415,
                    {
                        "error": "invalid_request",
                        "error_description": "AADSTS900561: The endpoint only "
                        "accepts application/x-www-form-urlencoded POST requests.",
                    },
                )
            form = {key: values[-1] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
            operation, answer = (
                "token",
                partial(login.token, parts[0], form, f"{base_url}{path}", correlation_id, self.world.sign_in),
            )
        else:
            self.world.recorder.request("unknown", 404, method=request.method, path=path)
            return self._json(404, {"error": {"code": "NotFound", "message": f"There is nothing at {path[:200]}."}})

        def process() -> Reply:
            found = answer()
            return Reply(found.status, {"Content-Type": "application/json; charset=utf-8"}, orjson.dumps(found.body))

        fired = self.world.faults.for_request((operation,)) if self.world.faults.envelope else None
        return await self._troubled(request, operation, None, random_guid(), fired, process)

    def _mails(self, path: str) -> web.StreamResponse:
        """Show the list of letters at /mails, one at /mails/N."""
        mails = self.world.recorder.mails
        if path == "/mails":
            return _html(200, mail_list(reversed(mails), self.world.recorder.mails_total))
        number = path.removeprefix("/mails/")
        letter = next((mail for mail in mails if str(mail["n"]) == number), None)
        return _html(*mail_page(letter, self.world.inviter.base_url))

    def _redeem(self, method: str, query: str) -> web.StreamResponse:
        given = {key: values[-1] for key, values in parse_qs(query).items()}
        directory = self.world.directory
        status, page, changed = redeem(
            directory, given.get("tenant", ""), given.get("user", ""), given.get("ticket", ""), accept=method == "POST"
        )
        if changed:
            tenant = directory.tenants[given["tenant"]]
            self.world.recorder.user_changed(tenant, tenant.users[given["user"]])
            self.world.recorder.flush()
        return _html(status, page)

    def _note(
        self,
        request: web.BaseRequest,
        operation: str,
        reply: Reply,
        caller: Caller | None,
        fired: Fired | None,
        client_request_id: str,
    ) -> None:
        """Write the request into the ledger, and the log to disk, before its answer leaves."""
        recorder = self.world.recorder
        if not recorder.keep:
            recorder.request(operation, reply.status)
        else:
            recorder.request(
                operation,
                reply.status,
                method=request.method,
                path=request.raw_path,
                tenant_id=caller.tenant.id if caller else None,
                client_id=caller.app.client_id if caller else None,
                client_request_id=client_request_id,
                priority=request.headers.get("x-ms-throttle-priority"),
                fault=fired.name if fired else None,
                processed=fired is None or not _unprocessed(fired),
                items=reply.items,
            )
        if caller is not None:
            self.world.quotas.directory_grew(caller.tenant.id, len(caller.tenant.users))
        recorder.flush()

    def _answer(self, reply: Reply, request_id: str, client_request_id: str) -> web.Response:
        headers = {
            **reply.headers,
            "Date": self.world.clock.http_date(),
            "request-id": request_id,
            "client-request-id": client_request_id or request_id,
            "x-ms-ags-diagnostic": _DIAGNOSTIC,
        }
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def _truncated(
        self, request: web.BaseRequest, reply: Reply, request_id: str, client_request_id: str
    ) -> web.StreamResponse:
        whole = self._answer(reply, request_id, client_request_id)
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = max(2, len(reply.body))
        try:
            await response.prepare(request)
            await response.write(reply.body[: len(reply.body) // 2] or b"{")
        except ConnectionError:
            pass  # the caller left first; it got even less than half
        if request.transport is not None:
            request.transport.close()
        return response

    def _json(self, status: int, document: Any) -> web.Response:
        headers = {"Date": self.world.clock.http_date(), "Content-Type": "application/json"}
        return web.Response(status=status, body=orjson.dumps(document), headers=headers)

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        if seconds > 0 and not self._ended.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._ended.wait()
            except TimeoutError:
                pass


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY)


def _from_loopback(request: web.BaseRequest) -> bool:
    remote = request.remote or ""
    return remote.startswith("127.") or remote in ("::1", "::ffff:127.0.0.1")


def _unprocessed(fired: Fired) -> bool:
    return not fired.after and fired.action != "slow"


def _html(status: int, page: str) -> web.Response:
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"}
    return web.Response(status=status, text=page, content_type="text/html", headers=headers)


def _shown(shown: Shown) -> web.Response:
    if shown.location:
        return web.Response(status=shown.status, headers={"Location": shown.location})
    found = _html(shown.status, shown.html)
    if shown.policy:
        found.headers["Content-Security-Policy"] = shown.policy
    return found


def _reset(request: web.BaseRequest) -> web.Response:
    """Drop the connection with a TCP reset."""
    if request.transport is not None:
        reset_on_close(request.transport)
    return web.Response(status=500)  # never sent
