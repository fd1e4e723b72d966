"""Where a person is told something: a chat's incoming webhook (``ALERT_URL``), e-mail (``ALERT_EMAIL_TO``), or both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from cio_activation.activation.settings import Settings
from cio_activation.errors import CioActivationError, ConfigError
from cio_activation.transport import event_loop
from cio_activation.transport.errors import OutcomeUnknown
from cio_activation.transport.http import VendorClient
from cio_activation.transport.mail import MailError, MailServer

WEBHOOK, EMAIL = "webhook", "email"
WHOLE_S = 20.0
"""Longest wait for the webhook's answer, the second try included: Dagster gives a sensor's tick a minute."""
NOWHERE = "neither ALERT_URL nor ALERT_EMAIL_TO is set"

Send = Callable[[str, str], None]
"""Tells a subject and a text; raises CioActivationError, without address or secret, if that did not work."""


def channels(settings: Settings) -> tuple[Mapping[str, Send], list[str]]:
    """Return channel -> how to tell, of those that are set, and what is wrong with the settings of the others."""
    found: dict[str, Send] = {}
    problems: list[str] = []
    address = settings.alert_url.get_secret_value().strip() if settings.alert_url is not None else ""
    if address.startswith(("https://", "http://")):
        found[WEBHOOK] = lambda _subject, text: event_loop.run(post(address, text))
    elif address:
        problems.append("ALERT_URL is no address; write it with https://")
    try:
        if mail := _mail(settings):
            found[EMAIL] = mail
    except ConfigError as error:
        problems.append(str(error))
    return found, problems


def _mail(settings: Settings) -> Send | None:
    recipients, sender = settings.alert_email_to, settings.alert_email_from
    if recipients is None:
        return None
    if sender is None:
        raise ConfigError("ALERT_EMAIL_FROM is not set; ALERT_EMAIL_TO needs it")
    if settings.smtp_url is None:
        raise ConfigError("SMTP_URL is not set; ALERT_EMAIL_TO needs it")
    server = MailServer.of(settings.smtp_url.get_secret_value())

    def send(subject: str, text: str) -> None:
        if refused := server.send(sender, recipients, subject, text):
            # Whoever took it has it: it is not sent again for the others' sake.
            raise PartlyTold(f"mail server {server.host}:{server.port}: it refused {refused} of the recipients")

    return send


class PartlyTold(MailError):
    """Some got it. To be said, and no reason to send it again."""


async def post(address: str, text: str) -> None:
    """Post ``{"text": text}`` to ``address``; raises VendorError if it is not taken."""
    parts = urlsplit(address)
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        async with asyncio.timeout(WHOLE_S), VendorClient("alerts", base, {}, attempts=2, timeout_s=8.0) as client:
            await client.request("POST", path, operation="alert", json={"text": text}, repeatable=True)
    except TimeoutError:
        raise OutcomeUnknown(f"no answer in {WHOLE_S:.0f} s", vendor="alerts", operation="alert") from None


def told(send: Send, subject: str, text: str) -> tuple[bool, str | None]:
    """Tell; return whether it was taken, and what is to be logged. Never raises what this project raises."""
    try:
        send(subject, text)
    except PartlyTold as error:
        return True, str(error)
    except CioActivationError as error:
        # An address may hold a token; the error names only the operation.
        return False, str(error)
    return True, None
