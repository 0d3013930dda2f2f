"""People sign in with MSAL: the authorization code flow with PKCE, a state and a nonce. What comes
back is an id token that nobody has checked yet (`console/access/entra_tokens.py` does).

MSAL is used for its protocol and not for its cache: nothing of a person's tokens stays here.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from config.errors import ConfigError
from worker.errors import TokenRefused, TokenUnavailable, WayOutUnusable
from worker.net import tls
from worker.signin.aadsts import SigninKind, explain_signin
from worker.signin.credentials import load_credentials
from worker.signin.kinds.kind import Credential

if TYPE_CHECKING:
    from config.console import ConsoleSection

_TIMEOUT_S: Final = 10.0
_SEVERAL: Final = "organizations"
"""The authority that people of several tenants sign in at; who may come, we decide by `tid`."""


class SignInFailed(Exception):
    """A person could not sign in; the sentence is for them."""


class PeopleSignIn:
    """The console's application, as MSAL knows it. Blocking; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._applications: dict[object, Any] = {}

    def begin(self, console: ConsoleSection, redirect_uri: str) -> dict[str, Any]:
        """Return a flow: `auth_uri` is where the person goes, the rest is kept for `finish`. Raises
        `TokenUnavailable`, `TokenRefused`.
        """
        application = self._application(console, load_credentials(console.connection)[0])
        flow: dict[str, Any] = application.initiate_auth_code_flow(
            [], redirect_uri=redirect_uri, response_mode="form_post", prompt="select_account"
        )
        return flow

    def finish(self, console: ConsoleSection, flow: Mapping[str, Any], answer: Mapping[str, str]) -> str:
        """Return the id token that the answer's code buys. Raises `SignInFailed`, or as `begin`."""
        if answer.get("error") == "access_denied":
            raise SignInFailed("The sign-in was cancelled.")
        for credential in load_credentials(console.connection):
            result = self._redeem(self._application(console, credential), flow, answer)
            trouble = explain_signin(0, result, tenant=console.tenant_id or "", client=console.client_id or "")
            if "error" not in result or not trouble.is_about_credential:
                break
        token = result.get("id_token")
        if isinstance(token, str) and token and "error" not in result:
            return token
        if trouble.kind is SigninKind.TRANSIENT:
            raise TokenUnavailable(trouble.sentence, code=trouble.code)
        if result.get("error") == "invalid_grant":
            raise SignInFailed("The sign-in took too long, or was finished already: sign in again.")
        raise TokenRefused(trouble.sentence, code=trouble.code)

    def _redeem(self, application: Any, flow: Mapping[str, Any], answer: Mapping[str, str]) -> Any:
        try:
            return application.acquire_token_by_auth_code_flow(dict(flow), dict(answer))
        except (ValueError, RuntimeError):  # another state, another nonce; their texts hold both
            raise SignInFailed("This answer belongs to another sign-in: sign in again.") from None
        except ConfigError as error:  # of an assertion, which is read when a request goes out
            raise TokenRefused(str(error), code="credential_unreadable") from None
        except OSError as error:  # of requests, whose exceptions are
            raise _unreachable(error) from None

    def _application(self, console: ConsoleSection, credential: Credential) -> Any:
        tenant = _SEVERAL if console.allowed_tenants else console.tenant_id
        authority = f"{console.login_url}/{tenant}"
        key = (authority, console.client_id, credential.fingerprint, *tls.trust_stamp(console.ca_file))
        with self._lock:
            if key not in self._applications:
                self._applications = {key: self._open(console, credential, authority), **self._applications}
                for old in list(self._applications)[8:]:
                    del self._applications[old]
            return self._applications[key]

    @staticmethod
    def _open(console: ConsoleSection, credential: Credential, authority: str) -> Any:
        import msal  # 100 ms, and only where somebody signs in

        class Forgetful(msal.TokenCache):
            """Keeps nothing: a session of our own says who signed in."""

            def add(self, event: Any, now: Any = None) -> None:
                pass

        try:
            session = tls.open_session(console.ca_file, timeout_s=_TIMEOUT_S)
            return msal.ConfidentialClientApplication(
                console.client_id,
                client_credential=credential.proof(session, console.cloud),
                authority=authority,
                instance_discovery=False,
                token_cache=Forgetful(),
                http_client=session,
                exclude_scopes=["offline_access"],  # nobody is signed in beyond the session
            )
        except WayOutUnusable as error:
            raise TokenRefused(error.sentence, code="way_out_unusable") from None
        except OSError as error:
            raise _unreachable(error) from None
        except ValueError:  # an answer that is no OpenID configuration
            raise TokenRefused(
                "The sign-in address of [console] is not Entra's: whoever runs usher checks tenant_id, cloud and"
                " authority.",
                code="bad_address",
            ) from None


def _unreachable(error: OSError) -> TokenUnavailable:
    return TokenUnavailable(
        f"Entra's sign-in service cannot be reached ({type(error).__name__}): try again in a while; whoever runs usher"
        " checks network and proxy."
    )
