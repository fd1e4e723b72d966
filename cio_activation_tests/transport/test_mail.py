"""Mail against a real server: signed in over TLS only, refusals told without the password, every wait bounded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cio_activation.errors import CioActivationError, ConfigError
from cio_activation.transport import mail
from cio_activation.transport.mail import MailError, MailServer
from cio_activation_tests.drivers.mail import CERTIFICATE, Mailbox, mail_server

WORD = "p@ss/w#rd"
IN_URL = "p%40ss%2Fw%23rd"
TO = "Ann <ann@example.com>, bob@example.com"


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def send(url: str, recipients: str = TO) -> int:
    return MailServer.of(url).send("Activation <alerts@example.com>", recipients, "Two\nlines", "Grüße\n.\nend")


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("scheme", "tls"), [("smtp", "starttls"), ("smtps", "from the start")])
def test_a_message_is_handed_in_over_tls_with_user_and_password(scheme: str, tls: str) -> None:
    with mail_server(tls=tls, user="post", password=WORD) as box:
        assert send(f"{scheme}://post:{IN_URL}@localhost:{box.port}") == 0
    [one] = box.came
    assert (one["Subject"], one["From"], one["To"]) == (
        "Two lines",
        "Activation <alerts@example.com>",
        "ann@example.com, bob@example.com",
    )
    assert one["Auto-Submitted"] == "auto-generated"
    assert box.texts[0].splitlines() == ["Grüße", ".", "end"]
    assert box.to == [["ann@example.com", "bob@example.com"]]


def test_a_server_without_tls_takes_mail_without_a_password_only() -> None:
    with mail_server() as box:
        assert send(f"smtp://localhost:{box.port}") == 0
        with pytest.raises(MailError, match="offers no STARTTLS") as caught:
            send(f"smtp://post:{IN_URL}@localhost:{box.port}")
    assert len(box.came) == 1
    assert WORD not in str(caught.value)


@pytest.mark.parametrize(("scheme", "tls"), [("smtp", "starttls"), ("smtps", "from the start")])
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(scheme: str, tls: str) -> None:
    with mail_server(tls=tls, user="post", password=WORD) as box, pytest.raises(MailError, match="not to be trusted"):
        send(f"{scheme}://post:{IN_URL}@localhost:{box.port}")
    assert box.came == []


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_told_without_it() -> None:
    with mail_server(tls="starttls", user="post", password="another") as box:
        for given in (IN_URL, "ungew%C3%B6hnlich"):
            with pytest.raises(MailError) as caught:
                send(f"smtp://post:{given}@localhost:{box.port}")
            told = "".join(str(e) for e in (caught.value, caught.value.__cause__, caught.value.__context__))
            assert not any(word in told for word in (WORD, IN_URL, "ungew", "post"))
    assert box.came == []


def test_recipients_that_are_refused_are_counted_and_all_of_them_are_an_error() -> None:
    with mail_server() as box:
        box.refused = {"bob@example.com"}
        assert send(f"smtp://localhost:{box.port}") == 1
        assert box.to == [["ann@example.com"]]
        with pytest.raises(MailError, match="none of the recipients"):
            send(f"smtp://localhost:{box.port}", "bob@example.com")
        box.answer = "452 no room for ann@example.com"
        with pytest.raises(MailError, match=r"answered 452$"):
            send(f"smtp://localhost:{box.port}")


@pytest.fixture
def dripping() -> Iterator[int]:
    """A server that never comes to the end of its greeting."""
    listening = socket.create_server(("localhost", 0))
    over = threading.Event()

    def drip() -> None:
        taken, _ = listening.accept()
        with taken:
            while not over.wait(0.05):
                taken.send(b"220-still here\r\n")

    thread = threading.Thread(target=drip)
    thread.start()
    yield listening.getsockname()[1]
    over.set()
    thread.join()
    listening.close()


def test_a_server_that_never_ends_keeps_nobody_waiting(dripping: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "WHOLE_S", 0.5)
    began = time.monotonic()
    with pytest.raises(MailError, match="no end after"):
        send(f"smtp://localhost:{dripping}")
    assert time.monotonic() - began < 5


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MailError, match=f"localhost:{port}: it could not be reached"):
        send(f"smtp://localhost:{port}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://sesame@localhost",
        "smtp:///sesame",
        "smtp://u:12/sesame@host",
        "smtp://u:sesame#x@host",
        "smtp://u:sesame@host:no",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="SMTP_URL is no address") as caught:
        MailServer.of(url)
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_stands_for_a_server_shows_no_secret() -> None:
    assert WORD not in repr(MailServer.of(f"smtp://post:{IN_URL}@localhost"))
    with pytest.raises(ConfigError, match="must be e-mail addresses"):
        send("smtp://localhost", "nobody")


def test_the_errors_are_of_the_projects_own_kind() -> None:
    assert issubclass(MailError, CioActivationError)
    assert isinstance(Mailbox().came, list)
