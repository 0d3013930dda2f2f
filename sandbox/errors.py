"""Graph's and Entra's refusals as values to raise: status, code, message, and what goes with them.

The texts are Graph's own wherever a text was seen; where only the cause is documented, the wording
is the sandbox's own and says so in a comment.
"""

from __future__ import annotations

from typing import Any


class LoginError(Exception):
    """A refusal with its AADSTS number, OAuth error name and HTTP status."""

    def __init__(self, number: int, error: str, message: str, status: int = 400) -> None:
        super().__init__(f"AADSTS{number}: {message}")
        self.number = number
        self.error = error
        self.status = status


class GraphError(Exception):
    """A request Graph refuses. `headers`: the answer's own (Retry-After, …), `body()`: the JSON."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    def body(self, request_id: str, client_request_id: str, stamp: str) -> dict[str, Any]:
        """Return Graph's error document, with the ids a support case asks for."""
        return error_body(self.code, str(self), request_id, client_request_id, stamp)


def error_body(code: str, message: str, request_id: str, client_request_id: str, stamp: str) -> dict[str, Any]:
    """Build `{"error": {"code", "message", "innerError"}}`; `stamp` is written as Graph does."""
    inner = {"date": stamp.rstrip("Z"), "request-id": request_id, "client-request-id": client_request_id or request_id}
    return {"error": {"code": code, "message": message, "innerError": inner}}


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """Return the 400 for something malformed or not allowed."""
    return GraphError(400, code, message)


def unknown_property(name: str, type_name: str) -> GraphError:
    """Return OData's refusal of a property that a type does not have."""
    return bad_request(
        f"The property '{name}' does not exist on type '{type_name}'. Make sure to only use property names that are "
        "defined by the type."
    )


def unknown_segment(segment: str) -> GraphError:
    """Return Graph's refusal of a path it does not know: 400, not 404."""
    return bad_request(f"Resource not found for the segment '{segment}'.")


def no_such_object(name: str) -> GraphError:
    """Return the 404 for an object that does not exist, or not yet on the replica asked."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


def not_allowed() -> GraphError:
    """Return the 403 for a missing application permission."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def needs_premium() -> GraphError:
    """Return the 403 for dates of signing in where the tenant has neither P1 nor P2."""
    return GraphError(
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    )


def invite_not_permitted() -> GraphError:
    """Return the 401 that a missing User.Invite.All gives; it looks like an expired token."""
    return GraphError(
        401,
        "Unauthorized",
        "Insufficient privileges to perform requested operation by the application "
        "'00000003-0000-0000-c000-000000000000'. ControllerName=MSGraphInviteAPI, ActionName=CreateInvite, "
        "URL absolute path=/api/v1.0/invitations",
    )


def reset_refused() -> GraphError:
    """Return the 403 for an application that resets whoever holds a role."""
    return GraphError(403, "Forbidden", "Generic authorization exception.")


def invitations_off() -> GraphError:
    """Return the 403 of a tenant whose settings allow no invitations by this application."""
    return GraphError(
        403,
        "Forbidden",
        "Guest invitations not allowed for your company. Contact your company administrator for more details.",
    )


def blocked_for_abuse() -> GraphError:
    """Return the 403 that only Microsoft's support lifts."""
    return GraphError(
        403,
        "Forbidden",
        "Invitations are blocked for this directory due to suspicious activity. Contact Microsoft support for help.",
    )


def directory_full() -> GraphError:
    """Return the 403 of a directory without room for another object."""
    return GraphError(
        403,
        "Directory_QuotaExceeded",
        "The directory object quota limit for the Tenant has been exceeded: this request would exceed the maximum quota"
        " count. Please ask your administrator to increase the quota limit or delete objects to reduce the used quota.",
    )


def already_there(user_id: str, *, enabled: bool) -> GraphError:
    """Return the 400 for an address whose user exists and has redeemed, or may not sign in."""
    there = f"The invited user already exists in the directory as object ID: {user_id}"
    if enabled:
        return bad_request(f"{there}. They can use that account to sign in to shared apps and resources.")
    return bad_request(f"{there}, but the account is blocked from signing in.")


def own_domain() -> GraphError:
    """Return the 400 for an address on one of the tenant's own verified domains."""
    return bad_request(
        "This user cannot be invited because the domain of the user's email address is a verified domain of this"
        " directory."
    )


def bad_address() -> GraphError:
    """Return the 400 for a malformed address (Graph's wording varies)."""
    return bad_request("The invited user email address is not valid: Primary SMTP address is an invalid value.")


def address_in_use(name: str) -> GraphError:
    """Return the 400 for a value that another object has and only one may have."""
    return bad_request(f"Another object with the same value for property {name} already exists.", "Request_BadRequest")


def group_address() -> GraphError:
    """Return the 400 for the address of a group or distribution list."""
    return bad_request("Group email address is not supported.")


def contact_conflict() -> GraphError:
    """Return the 400 for an address that a contact in the directory holds."""
    return bad_request(
        "Another object with the same value for property proxyAddresses already exists: conflicting contact object."
    )


REFUSED_DOMAIN = {
    # Graph's exact text for a deny list is not known; peers match "invitation is not allowed".
    "denied": (
        "This invitation is not allowed: the domain of the invited user's email address is blocked by the directory "
        "policy."
    ),
    "cross_tenant": (
        "This invitation is blocked by cross-tenant access settings. Admins in both your organization and the "
        "invited user's organization must configure cross-tenant access settings to allow the invitation."
    ),
    "cross_cloud": (
        "This user can't be invited because the Microsoft B2B Cross Cloud Worker application has been disabled "
        "in the invited user's tenant. Please ask the invited user's admin to re-enable it, then try again."
    ),
    "uninvitable": "This user can't be invited to this directory. Please try a different email address.",
}
"""Kind of refusal (`directory.REFUSED_DOMAINS`) -> message of its 400."""
