"""Services that carry messages, with their rules: Discord and Telegram over HTTP, a mail server over SMTP."""

import asyncio
import re
import ssl
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

WEBHOOK = "/api/webhooks/1234567890/a-token-nobody-may-see"
BOT_TOKEN = "123456789:AAH-a-token-nobody-may-see"
CHAT = "-1001234567890"
UNESCAPED = re.compile(r"(?<!\\)[\[\]()~`>#+\-=|{}.!]")
LOGIN, PASSWORD = "bot@desk.test", "a password nobody may see"


@dataclass
class ScriptedService:
    """Takes messages, and does first what stands in ``troubles``: statuses, (status, body) or seconds of silence."""

    address: str = ""
    taken: list[dict] = field(default_factory=list)
    asked: int = 0
    troubles: deque = field(default_factory=deque)
    on_message: object = None  # called before the answer

    @property
    def host(self):
        return self.address.removeprefix("http://")

    @property
    def webhook(self):
        return self.address + WEBHOOK

    async def discord(self, request):
        body = await request.json()
        if (trouble := await self._trouble()) is not None:
            return trouble
        if request.path != WEBHOOK:
            return web.json_response({"message": "Invalid Webhook Token", "code": 50027}, status=401)
        [embed] = body["embeds"]
        fits = len(embed["title"]) <= 256 and len(embed["description"]) <= 4096 and len(embed["fields"]) <= 25
        whole = sum(len(text) for text in _texts(embed))
        if not fits or whole > 6000 or any(not one["value"] for one in embed["fields"]):
            return web.json_response({"code": 50035}, status=400)
        await self._take({**embed, "allowed_mentions": body["allowed_mentions"]})
        return web.Response(status=204)

    async def telegram(self, request):
        body = await request.json()
        if (trouble := await self._trouble()) is not None:
            return trouble
        if request.match_info["token"] != BOT_TOKEN:
            return web.json_response({"ok": False, "error_code": 401}, status=401)
        if body["chat_id"] != CHAT:
            return web.json_response({"ok": False, "error_code": 400}, status=400)
        assert body["parse_mode"] == "MarkdownV2"
        read = re.sub(r"\\(.)", r"\1", body["text"])
        if UNESCAPED.search(body["text"]) or len(read) > 4096:  # it counts what it has read
            return web.json_response({"ok": False, "description": "can't parse entities"}, status=400)
        await self._take(body)
        return web.json_response({"ok": True, "result": {}})

    async def anything(self, request):
        """Whatever apprise sends as JSON."""
        body = await request.json()
        if (trouble := await self._trouble()) is not None:
            return trouble
        await self._take(body)
        return web.Response(status=200)

    async def until_taken(self, count, seconds_max=30.0):
        async with asyncio.timeout(seconds_max):
            while len(self.taken) < count:
                await asyncio.sleep(0.02)

    async def _take(self, told):
        self.taken.append(told)
        if self.on_message is not None:
            await self.on_message(told)

    async def _trouble(self):
        self.asked += 1
        if not self.troubles:
            return None
        trouble = self.troubles.popleft()
        if isinstance(trouble, float):
            await asyncio.sleep(trouble)
            return None
        status, body = trouble if isinstance(trouble, tuple) else (trouble, {})
        return web.json_response(body, status=status)


def _texts(embed):
    fields = [text for one in embed["fields"] for text in (one["name"], one["value"])]
    return [embed["title"], embed["description"], embed["footer"]["text"], *fields]


@asynccontextmanager
async def scripted_service():
    """Serve Discord's webhooks, Telegram's API and JSON at one address."""
    service = ScriptedService()
    app = web.Application()
    app.router.add_post("/api/webhooks/{id}/{token}", service.discord)
    app.router.add_post("/bot{token}/sendMessage", service.telegram)
    app.router.add_post("/json", service.anything)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    service.address = f"http://{host}:{port}"
    try:
        yield service
    finally:
        await runner.cleanup()


@dataclass
class ScriptedMail:
    """A mail server that wants TLS before a login, and keeps what it was sent."""

    port: int = 0
    mails: list = field(default_factory=list)
    recipients: list = field(default_factory=list)
    answers: deque = field(default_factory=deque)  # instead of taking a mail
    was_tls: list = field(default_factory=list)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.answers:
            return self.answers.popleft()
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        self.was_tls.append(session.ssl is not None)
        return "250 taken"


def _authenticate(server, session, envelope, mechanism, login):
    is_right = isinstance(login, LoginPassword) and login == LoginPassword(LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


@contextmanager
def scripted_mail(folder, *, has_tls=True):
    """Serve mail; give the server, and the context that trusts it."""
    files = certificate(folder)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    serving = None
    if has_tls:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(*map(str, files))
    mail = ScriptedMail(port=free_port())
    controller = Controller(
        mail,
        hostname="127.0.0.1",
        port=mail.port,
        tls_context=serving,
        require_starttls=has_tls,
        authenticator=_authenticate,
        auth_require_tls=has_tls,
    )
    controller.start()
    try:
        yield mail, trusting
    finally:
        controller.stop()


def certificate(folder):
    """Make a certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "mail.pem", folder / "mail.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files
