"""E-mail by SMTP: STARTTLS before anything secret is said, HTML beside plain text, several recipients."""

import asyncio
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from html import escape

from pregao.alerts.messages import LEVEL_EMOJI
from pregao.alerts.ports import MESSAGE_REFUSED, Address, ChannelError, Message

ANSWER_SECONDS_MAX = 10.0
SUBJECT_MAX = 200
TLS_PORT = 465  # TLS from the first byte; other ports begin in clear and then change


class Mail:
    """Sends by the server an address names, or by the desk's where it names none."""

    def __init__(self, desks: Mapping[str, str], *, tls: ssl.SSLContext | None = None) -> None:
        """``desks`` is the desk's own server, as an address has one."""
        self._desks = desks
        self._tls = tls or ssl.create_default_context()

    async def __call__(self, message: Message, *, address: Address) -> None:
        """Deliver the message, in a thread of its own: the library waits."""
        to = address if address.get("server") else {**self._desks, "to": address["to"]}
        if not to.get("server"):
            raise ChannelError(
                "CHANNEL_UNUSABLE", "No SMTP server is known. Set SMTP_SERVER, or name one.", is_final=True
            )
        await asyncio.to_thread(self._send, message, to)

    def _send(self, message: Message, to: Address) -> None:
        try:
            with self._connected(to) as server:
                if to.get("username"):
                    server.login(to["username"], to["password"])
                server.send_message(mail_of(message, to))
        except smtplib.SMTPAuthenticationError as refused:
            raise _refused(refused.smtp_code, "The server does not take the login.") from None
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            raise _refused(min(codes), "No recipient was taken.") from None
        except smtplib.SMTPResponseException as refused:
            raise _refused(refused.smtp_code, "The server does not take it.") from None
        except (OSError, smtplib.SMTPException) as away:
            raise ChannelError(
                "CHANNEL_AWAY", f"error={type(away).__name__}. The server does not answer.", is_final=False
            ) from None

    def _connected(self, to: Address) -> smtplib.SMTP:
        port = int(to["port"])
        if port == TLS_PORT:
            return smtplib.SMTP_SSL(to["server"], port, timeout=ANSWER_SECONDS_MAX, context=self._tls)
        server = smtplib.SMTP(to["server"], port, timeout=ANSWER_SECONDS_MAX)
        try:
            server.ehlo()
            if to.get("security") != "none":
                if not server.has_extn("starttls"):
                    raise ChannelError(
                        "CHANNEL_UNUSABLE",
                        "The server offers no STARTTLS: nothing secret is said to it. See SMTP_SECURITY.",
                        is_final=True,
                    )
                server.starttls(context=self._tls)
        except BaseException:
            server.close()
            raise
        return server


def mail_of(message: Message, to: Address) -> EmailMessage:
    """Give the mail: `[LEVEL] title`."""
    mail = EmailMessage()
    title = " ".join(message.title.split())  # no line break gets into a header
    mail["Subject"] = f"[{message.level}] {title}"[:SUBJECT_MAX]
    mail["From"] = to["from"]
    mail["To"] = ", ".join(recipients(to["to"]))
    mail["Date"] = format_datetime(message.raised_at)
    mail["Message-ID"] = make_msgid(domain="pregao")
    numbers = "\n".join(f"{name}: {value}" for name, value in message.numbers.items())
    mail.set_content(f"{message.text}\n\n{numbers}\n")
    mail.add_alternative(html_of(message), subtype="html")
    return mail


def html_of(message: Message) -> str:
    """Give the mail's body, with everything that is ours escaped."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in message.numbers.items()
    )
    text = "<br>".join(escape(line) for line in message.text.splitlines())
    return (
        f"<html><body><h2>{LEVEL_EMOJI[message.level]} {escape(message.title)}</h2><p>{text}</p>"
        f"<table>{rows}</table><p>{escape(message.level)}, {message.raised_at:%Y-%m-%d %H:%M:%S} UTC</p></body></html>"
    )


def recipients(text: str) -> list[str]:
    """Give the addresses of a list with commas."""
    return [one.strip() for one in text.split(",") if one.strip()]


def _refused(status: int, why: str) -> ChannelError:
    # RFC 5321: 4yz may go well later, 5yz will not.
    if 400 <= status < 500:
        return ChannelError("CHANNEL_BUSY", f"status={status}. {why}", is_final=False)
    code = MESSAGE_REFUSED if status in (552, 554) else "CHANNEL_REFUSED"
    return ChannelError(code, f"status={status}. {why}", is_final=True)
