"""Looks whether providers can sign in by way of the OpenID provider that is set."""

import time

from konsil.findings import Finding, fine, wrong
from konsil.settings import Settings
from signaling.openid_api import PAGE
from signaling.openid_client import OpenIdClient
from waiting_room.errors import Refused
from waiting_room.openid import Client

_SUBJECT = "OpenID"


async def check(settings: Settings, public_url: str) -> Finding:
    """Asks for its metadata and keys, as the server does. Whether it knows us it tells nobody."""
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        redirect_uri=public_url + PAGE,
        audience=public_url,
    )
    issuer = OpenIdClient(client, str, time.monotonic)
    await issuer.start()
    try:
        keys = (await issuer.keys(None)).keys
    except Refused as refused:
        return wrong(_SUBJECT, f"KONSIL_OIDC_ISSUER {settings.oidc_issuer}: {refused.detail}")
    finally:
        await issuer.stop()
    return fine(
        _SUBJECT,
        f"{settings.oidc_issuer} answers and has {len(keys)} keys; it must allow the redirect to "
        f"{client.redirect_uri}",
    )
