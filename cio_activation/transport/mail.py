"""One e-mail to a few people, by the server that ``SMTP_URL`` names. Neither password nor its words are in an error.

A password goes over TLS only: with ``smtp://`` the connection is turned into one by STARTTLS (RFC 3207), and a server
that does not offer that is not signed in to. Every wait is bounded, and so is the whole.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, getaddresses, make_msgid, parseaddr
from typing import Self
from urllib.parse import unquote, urlsplit

from cio_activation.errors import CioActivationError, ConfigError

STEP_S = 8.0
"""Longest wait for one answer of the server."""
WHOLE_S = 20.0
"""Longest wait for the whole: a server that answers byte by byte keeps nobody waiting."""
_PORTS = {"smtp": 587, "smtps": 465}


class MailError(CioActivationError):
    """The server did not take the message, or cannot be trusted with it."""


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in; its text form holds no secret."""

    host: str
    port: int
    tls: bool
    """From the first byte; else by STARTTLS."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the server of an address; ConfigError, without the address, if it is none."""
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
            # A sign of the password that is not encoded ends the host early: the rest of it must not pass for one.
            whole = not (parts.path.strip("/") or parts.query or parts.fragment)
        except ValueError:
            whole = False
        if not whole or scheme not in _PORTS or not host:
            raise ConfigError(
                "SMTP_URL is no address of a mail server; write smtp://user:password@host:587 or smtps://..., special "
                "characters of the password as %40 (@), %2F (/), %23 (#)"
            ) from None
        user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
        return cls(host, port or _PORTS[scheme], scheme == "smtps", user, password)

    def send(self, sender: str, recipients: str, subject: str, text: str) -> int:
        """Hand in one message; return how many of the recipients were refused. MailError if nobody got it.

        ``recipients``: one or more addresses, with commas. A message that was handed in as the time was over came,
        and is an error all the same: whoever sends again sends twice, which is better than never.
        """
        found = [address for _, address in getaddresses([recipients]) if "@" in address]
        _, origin = parseaddr(sender)
        if not found or "@" not in origin:
            raise ConfigError(
                "ALERT_EMAIL_TO and ALERT_EMAIL_FROM must be e-mail addresses; several of the first with commas"
            )
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, ", ".join(found), " ".join(subject.split())
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=origin.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        ends: list[int | str] = []
        worker = threading.Thread(target=lambda: ends.append(self._end(origin, found, message)), daemon=True)
        worker.start()
        worker.join(WHOLE_S)
        end = ends[0] if ends else f"no end after {WHOLE_S:.0f} s"
        if isinstance(end, int):
            return end
        # Without a cause: what the server said may repeat what it was given.
        raise MailError(f"mail server {self.host}:{self.port}: {end}")

    def _end(self, origin: str, recipients: list[str], message: EmailMessage) -> int | str:
        """Hand the message in; return how many recipients were refused, or why it was not taken."""
        try:
            return self._hand_in(origin, recipients, message)
        except ssl.SSLError:
            return "its certificate is not to be trusted, or it speaks no TLS here"
        except smtplib.SMTPAuthenticationError as error:
            return f"it refused the user or the password ({error.smtp_code})"
        except smtplib.SMTPRecipientsRefused:
            return "it took none of the recipients"
        except smtplib.SMTPResponseException as error:
            return f"it answered {error.smtp_code}"
        except smtplib.SMTPNotSupportedError:
            return "it does not offer what is needed: to sign in, or addresses beyond ASCII"
        except UnicodeError:
            return "the user or the password has characters beyond ASCII, which cannot be sent"
        except (OSError, smtplib.SMTPException) as error:
            return f"it could not be reached, or stopped answering ({type(error).__name__})"

    def _hand_in(self, origin: str, recipients: list[str], message: EmailMessage) -> int | str:
        trust = ssl.create_default_context()
        name = socket.gethostname()  # not the full name: looking that up has no bound
        server = (
            smtplib.SMTP_SSL(self.host, self.port, name, timeout=STEP_S, context=trust)
            if self.tls
            else smtplib.SMTP(self.host, self.port, name, timeout=STEP_S)
        )
        try:
            server.ehlo_or_helo_if_needed()
            secure = self.tls
            if not secure and server.has_extn("starttls"):
                server.starttls(context=trust)
                secure = True
            if self.user is not None:
                if not secure:
                    return (
                        "it offers no STARTTLS, and the password is not sent in clear; write smtps://, or a server "
                        "that takes mail without one"
                    )
                server.login(self.user, self.password or "")
            refused = server.send_message(message, origin, recipients)
            with suppress(OSError, smtplib.SMTPException):  # it has the message, however it says goodbye
                server.quit()
            return len(refused)
        finally:
            server.close()
