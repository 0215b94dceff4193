"""A real https server on this machine, under a certificate made for the occasion. Answers with bytes as they are."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class HttpsServer:
    """`answer` is what the next request gets; None: nothing, ever. `asked` has the request lines so far."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key = make_certificate(folder)
        self.answer: bytes | Callable[[], bytes] | None = reply(b"")
        self.asked: list[str] = []
        self.port = 0

    def url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/jwks"

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["HttpsServer"]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.split(b"\r\n")[0].decode())
            if self.answer is None:
                await reader.read()  # until the client gives up
            else:
                writer.write(self.answer() if callable(self.answer) else self.answer)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass  # the client left in the middle, as it should when there is too much
        finally:
            writer.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, good for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.2"))]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem
