"""Entra's login endpoint: discovery, and the client credentials grant with a secret or a
certificate.

Refusals have Entra's JSON form and AADSTS codes, because callers tell people what to do by those
codes.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from sandbox.certificates import AppCertificate
from sandbox.clock import Clock
from sandbox.directory import App, Directory, Tenant
from sandbox.errors import LoginError
from sandbox.federation import Federation, FederationRefused
from sandbox.tokens import Tokens, random_guid

if TYPE_CHECKING:
    from sandbox.signin.service import SignIn

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PUBLIC_GRAPH = "https://graph.microsoft.com"
_GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """What the login endpoint answers: a status and a JSON document."""

    status: int
    body: dict[str, Any]


class Login:
    """The login endpoint of one sandbox. `refused` counts refusals by AADSTS number."""

    def __init__(
        self, directory: Directory, tokens: Tokens, clock: Clock, federation: Federation, resources: frozenset[str]
    ) -> None:
        self.refused: Counter[int] = Counter()
        self._federation = federation
        self._directory = directory
        self._tokens = tokens
        self._clock = clock
        self._resources = resources | {_PUBLIC_GRAPH, _GRAPH_APP_ID}

    def discover_tenant(self, base_url: str, name: str) -> LoginAnswer:
        """Answer GET /{tenant}/v2.0/.well-known/openid-configuration."""
        tenant = self._directory.tenant(name)
        if tenant is None and name != "organizations":
            return self.refuse(_unknown_tenant(name), "")
        root = f"{base_url}/{tenant.id if tenant else name}"
        return LoginAnswer(
            200,
            {
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{root}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{root}/v2.0" if tenant else f"{base_url}/{{tenantid}}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "msgraph_host": base_url.partition("://")[2],
            },
        )

    def discover_instance(self, base_url: str, host: str) -> LoginAnswer:
        """Answer GET /common/discovery/instance, which says which hosts are one cloud."""
        name = host.partition(":")[0]
        return LoginAnswer(
            200,
            {
                "tenant_discovery_endpoint": f"{base_url}/common/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": sorted({host, name})}],
            },
        )

    def token(
        self, tenant_name: str, form: Mapping[str, str], token_url: str, correlation_id: str, sign_in: SignIn
    ) -> LoginAnswer:
        """Answer POST /{tenant}/oauth2/v2.0/token. `token_url` is the address it was asked at, an
        assertion's audience. What is for the console is `sign_in`'s.
        """
        base_url = token_url.removesuffix(f"/{tenant_name}/oauth2/v2.0/token")
        try:
            if form.get("grant_type") == "authorization_code":
                return LoginAnswer(200, sign_in.redeem(tenant_name, form, base_url))
            tenant, app, certificate = self._sign_in(tenant_name, form, token_url)
            if sign_in.is_ours(form.get("scope", "")):
                return LoginAnswer(200, sign_in.grant(tenant, app.client_id, base_url))
            audience = self._audience(form.get("scope", ""))
        except LoginError as error:
            return self.refuse(error, correlation_id)
        token, life_s = self._tokens.mint(tenant, app, audience, certificate=certificate)
        body = {"token_type": "Bearer", "expires_in": life_s, "ext_expires_in": life_s, "access_token": token}
        return LoginAnswer(200, body)

    def _sign_in(self, tenant_name: str, form: Mapping[str, str], token_url: str) -> tuple[Tenant, App, bool]:
        if tenant_name.lower() in ("common", "organizations", "consumers"):
            raise LoginError(
                9001023,
                "invalid_request",
                "The grant type is not supported over the /common or /consumers "
                "endpoints. Please use the /organizations or tenant-specific endpoint.",
            )
        tenant = self._directory.tenant(tenant_name)
        if tenant is None:
            raise _unknown_tenant(tenant_name)
        if form.get("grant_type") != "client_credentials":
            raise LoginError(
                70003,
                "unsupported_grant_type",
                f"The app requested an unsupported grant type '{form.get('grant_type', '')}'.",
            )
        client_id = form.get("client_id", "").lower()
        if not client_id:
            raise LoginError(
                900144, "invalid_request", "The request body must contain the following parameter: 'client_id'."
            )
        app = tenant.apps.get(client_id)
        if app is None or not app.consented:
            raise LoginError(
                700016,
                "unauthorized_client",
                f"Application with identifier '{client_id}' was not found in the directory '{tenant.name}'. This can"
                " happen if the application has not been installed by the administrator of the tenant or consented to"
                " by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
            )
        if not app.enabled:
            raise LoginError(7000112, "unauthorized_client", f"Application '{client_id}'(usher rehearsal) is disabled.")
        if "client_assertion" in form:
            self._check_assertion(app, form, token_url)
            return tenant, app, True
        if "client_secret" in form:
            self._check_secret(app, form["client_secret"])
            return tenant, app, False
        raise LoginError(
            7000218,
            "invalid_client",
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            401,
        )

    def _check_secret(self, app: App, given: str) -> None:
        for secret, expires_s in app.secrets.items():
            if hmac.compare_digest(secret.encode(), given.encode()):
                if expires_s is not None and expires_s <= self._clock.wall_s():
                    raise LoginError(
                        7000222,
                        "invalid_client",
                        f"The provided client secret keys for app '{app.client_id}' are expired. Visit the Azure portal"
                        " to create new keys for your app: https://aka.ms/NewClientSecret, or consider using"
                        " certificate credentials for added security: https://aka.ms/certCreds.",
                        401,
                    )
                return
        raise LoginError(
            7000215,
            "invalid_client",
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
            f" not the client secret ID, for a secret added to app '{app.client_id}'.",
            401,
        )

    def _check_assertion(self, app: App, form: Mapping[str, str], token_url: str) -> None:
        assertion = form["client_assertion"]
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise _bad_assertion("The client assertion type is not supported.")
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError:
            raise LoginError(50027, "invalid_client", "JWT token is invalid or malformed.", 401) from None
        if self._federation.knows(header):
            try:
                self._federation.check(app, assertion)
            except FederationRefused as refused:
                raise LoginError(refused.number, "invalid_client", str(refused), 401) from None
            return
        certificate = _named_certificate(app, header)
        if certificate is None:
            raise _bad_assertion(
                "The key was not found, or the certificate with the given thumbprint is not registered: "
                f"Thumbprint of key used by client: '{header.get('x5t') or header.get('x5t#S256')}'."
            )
        if certificate.ends_at.timestamp() <= self._clock.wall_s():
            raise _bad_assertion("The certificate used to sign the client assertion is expired.")
        try:
            claims = jwt.decode(
                assertion,
                certificate.public_pem,
                algorithms=["RS256", "PS256"],
                options={
                    "require": ["exp", "aud", "iss", "sub"],
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            raise _bad_assertion("The signature of the client assertion is invalid.") from None
        now_s = self._clock.sign_in_s()
        if not float(claims.get("nbf", 0)) - 300 <= now_s < float(claims["exp"]) + 300:
            raise LoginError(700024, "invalid_client", "Client assertion is not within its valid time range.", 401)
        if str(claims["iss"]).lower() != app.client_id or str(claims["sub"]).lower() != app.client_id:
            raise LoginError(
                700030,
                "invalid_client",
                "Invalid certificate - subject name in certificate is not "
                "authorized, or issuer and subject of the assertion are not the client id.",
                401,
            )
        if claims["aud"] != token_url:
            raise LoginError(
                50027, "invalid_client", "JWT token is invalid: the audience is not the token endpoint.", 401
            )

    def _audience(self, scope: str) -> str:
        wanted = [part for part in scope.split() if part not in ("openid", "profile", "offline_access")]
        if not wanted:
            raise LoginError(
                900144, "invalid_request", "The request body must contain the following parameter: 'scope'."
            )
        if len(wanted) > 1 or not wanted[0].endswith("/.default"):
            raise LoginError(
                70011,
                "invalid_scope",
                "The provided request must include a 'scope' input parameter. The provided value for the input"
                f" parameter 'scope' is not valid. The scope {scope} is not valid. Client credential flows must have a"
                " scope value with /.default suffixed to the resource identifier (application ID URI).",
            )
        resource = wanted[0].removesuffix("/.default").rstrip("/")
        if resource.lower() not in self._resources:
            raise LoginError(
                500011,
                "invalid_resource",
                f"The resource principal named {resource} was not found in the "
                "tenant. You might have sent your authentication request to the wrong cloud.",
            )
        return resource

    def refuse(self, error: LoginError, correlation_id: str) -> LoginAnswer:
        """Return a refusal in Entra's form, and count it."""
        self.refused[error.number] += 1
        trace_id, correlation_id = random_guid(), correlation_id or random_guid()
        stamp = self._clock.stamp().replace("T", " ")
        return LoginAnswer(
            error.status,
            {
                "error": error.error,
                "error_description": (
                    f"{error} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {stamp}"
                ),
                "error_codes": [error.number],
                "timestamp": stamp,
                "trace_id": trace_id,
                "correlation_id": correlation_id,
                "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
            },
        )


def _unknown_tenant(name: str) -> LoginError:
    return LoginError(
        90002,
        "invalid_request",
        f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct"
        " cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for"
        " the tenant.",
    )


def _bad_assertion(reason: str) -> LoginError:
    return LoginError(
        700027,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not "
        f"registered on application, or client assertion failed signature validation. {reason}",
        401,
    )


def _named_certificate(app: App, header: Mapping[str, Any]) -> AppCertificate | None:
    """Return the registered certificate that an assertion's header names, padded or not."""
    x5t, x5t_s256 = (str(header.get(name) or "").rstrip("=") for name in ("x5t", "x5t#S256"))
    for certificate in app.certificates:
        if certificate.x5t == x5t or certificate.x5t_s256 == x5t_s256:
            return certificate
    return None
