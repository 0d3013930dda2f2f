"""MSAL signs one client in with one credential: whatever MSAL, requests and json raise ends here,
as a token or a sentence.

MSAL is used for its protocol and not for its caches: it serves a refusal from memory for a minute,
so that a rotated secret would look refused, and hands out an old token until five minutes before
its end.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from worker.errors import TokenError, TokenRefused, TokenUnavailable, WayOutUnusable
from worker.graph.retry import parse_retry_after
from worker.net import tls
from worker.signin.aadsts import SigninKind
from worker.signin.credentials import AccessToken, make_token
from worker.signin.kinds.kind import Credential

if TYPE_CHECKING:
    from config.connections import Connection


class CredentialRefused(TokenRefused):
    """This credential was refused; another of the same application might do."""


class _Garbled(Exception):
    """The token endpoint did not answer in JSON."""


class _Wire:
    """MSAL's way out: a session that remembers its last answer; MSAL's exceptions leave it out."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.status = 0
        self.retry_after_s: float | None = None
        self.body: Any = None

    def reset(self) -> None:
        self.status, self.retry_after_s, self.body = 0, None, None

    def get(self, url: str, **kwargs: Any) -> Any:
        self.reset()
        return self._note(self._session.get(url, **kwargs))

    def post(self, url: str, **kwargs: Any) -> Any:
        self.reset()
        response = self._note(self._session.post(url, **kwargs))
        if response.status_code < 500 and not isinstance(self.body, dict):
            raise _Garbled  # before MSAL sees it: it would log the text, which may be half a token
        return response

    def close(self) -> None:
        """Close what is open; the session opens it again for the next request."""
        self._session.close()

    def _note(self, response: Any) -> Any:
        self.status = response.status_code
        self.retry_after_s = parse_retry_after({name.lower(): value for name, value in response.headers.items()})
        try:
            self.body = json.loads(response.text)
        except (ValueError, RecursionError):
            self.body = None
        return response


class Application:
    """One MSAL application: one client with one credential."""

    def __init__(self, credential: Credential, timeout_s: float) -> None:
        self._credential = credential
        self._timeout_s = timeout_s
        self._ask_entra: Callable[[], Any] | None = None
        self._wire: _Wire | None = None
        self._http_cache: dict[str, Any] = {}
        self._stamp: tuple[object, ...] = ()
        self._one_thread = threading.Lock()  # a cancelled task's thread may still be in here when the next one comes

    def ask(self, connection: Connection, now: Callable[[], float]) -> AccessToken:
        """Ask Entra for a token. Blocking. Raises `TokenRefused` (`CredentialRefused`) or
        `TokenUnavailable`, nothing else.
        """
        with self._one_thread:
            return self._ask(connection, now())

    def close(self) -> None:
        """Drop the application with everything it remembers: after a failure its memory would
        answer in Entra's place.
        """
        wire, self._wire, self._ask_entra = self._wire, None, None
        self._http_cache.clear()
        if wire is not None:
            wire.close()

    def _ask(self, connection: Connection, issued_s: float) -> AccessToken:
        try:
            result = self._acquire(connection)
        except WayOutUnusable as error:
            self.close()
            raise TokenRefused(error.sentence, code="way_out_unusable") from None
        # MSAL lets through whatever requests, json and itself raise; all of it ends here
        except Exception as error:  # noqa: BLE001
            failure = self._translate(connection, error)
            self.close()
            raise failure from None  # a chained one may hold the request, and with it the secret
        text, life_s = result.get("access_token"), result.get("expires_in")
        if isinstance(text, str) and text and isinstance(life_s, (int, float)):
            return make_token(text, issued_s=issued_s, life_s=float(life_s), fingerprint=self._credential.fingerprint)
        failure = self._explain(connection, result)
        self.close()
        raise failure

    def _acquire(self, connection: Connection) -> dict[str, Any]:
        stamp = (connection.authority, *tls.trust_stamp(connection.ca_file))
        if self._ask_entra is None or self._wire is None or stamp != self._stamp:
            self.close()
            self._stamp = stamp
            self._wire = _Wire(tls.open_session(connection.ca_file, timeout_s=self._timeout_s))
            self._ask_entra = self._credential.open(connection, self._wire, self._http_cache)
        self._wire.reset()
        result = self._ask_entra()
        self._wire.close()  # the next sign-in is an hour away: thousands of tenants would hold a socket each
        return result if isinstance(result, dict) else {}

    def _explain(self, connection: Connection, body: Any) -> TokenError:
        """Translate an answer of Entra, through MSAL or seen on the wire."""
        status = 0 if self._wire is None else self._wire.status
        retry_after_s = None if self._wire is None else self._wire.retry_after_s
        trouble = self._credential.explain(status, body, connection)
        if trouble.kind is SigninKind.TRANSIENT:
            return TokenUnavailable(trouble.sentence, retry_after_s=retry_after_s, code=trouble.code)
        kind = CredentialRefused if trouble.is_about_credential else TokenRefused
        return kind(trouble.sentence, code=trouble.code, fingerprint=self._credential.fingerprint)

    def _translate(self, connection: Connection, error: Exception) -> TokenError:
        """Translate an exception of MSAL or of requests."""
        from requests import exceptions as http

        if isinstance(error, TokenError):
            return error
        if isinstance(error, ConfigError):  # of what is read when a request goes out
            return CredentialRefused(str(error), code="credential_unreadable", fingerprint=self._credential.fingerprint)
        authority, host = connection.authority, connection.login_host
        if self._wire is not None and self._wire.status:
            return self._explain(connection, self._wire.body)
        if isinstance(error, http.SSLError):
            return TokenRefused(
                f"The certificate of {host} is not trusted: name its issuer in ca_file of the connection or in"
                " SSL_CERT_FILE, and check the proxy in between.",
                code="certificate_not_trusted",
            )
        if isinstance(error, (http.InvalidURL, http.InvalidSchema, http.MissingSchema)):
            return TokenRefused(
                f"The sign-in address {authority} or the proxy's cannot be used: check authority and HTTPS_PROXY.",
                code="bad_address",
            )
        if isinstance(error, http.ProxyError):
            return TokenUnavailable(
                f"The proxy on the way to {host} does not let usher through; usher tries again by itself."
            )
        if isinstance(error, (http.RequestException, OSError)):
            return TokenUnavailable(
                f"{host} cannot be reached; check the network and the proxy. usher tries again by itself."
            )
        if not authority.startswith("https://"):
            return TokenRefused(
                f"The sign-in address {authority} is not an https URL: check authority.", code="bad_address"
            )
        return TokenRefused(
            f"The sign-in with {host} failed before it began ({type(error).__name__}): check the connection's authority"
            " and credential.",
            code="sign_in_failed",
        )
