"""Microsoft's own SDK for Python: its client, signed in with azure-identity."""

from __future__ import annotations

from urllib.parse import urlsplit

from azure.identity.aio import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.invitation import Invitation

from benchmarks.peers.common import REDIRECT_URL, Task


def build_client(task: Task) -> GraphServiceClient:
    """Return a client for the tenant of the task."""
    credential = ClientSecretCredential(
        task.tenant_id,
        task.client_id,
        task.client_secret,
        authority=task.authority.removesuffix(f"/{task.tenant_id}"),  # it appends the tenant itself
        disable_instance_discovery=True,
    )
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=[task.scope], allowed_hosts=[urlsplit(task.graph_url).hostname]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = task.graph_url
    return GraphServiceClient(request_adapter=adapter)


def build_invitation(task: Task, number: int) -> Invitation:
    """Return one guest's invitation as the SDK's own type."""
    body = task.invitation(number)
    return Invitation(
        invited_user_email_address=str(body["invitedUserEmailAddress"]),
        invited_user_display_name=str(body["invitedUserDisplayName"]),
        invite_redirect_url=REDIRECT_URL,
        send_invitation_message=True,
    )
