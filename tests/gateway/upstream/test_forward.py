"""What is true of our own upstream beyond the port: TLS, addresses, bounds, how connections are kept."""

import asyncio
import datetime
import gzip
import ipaddress
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kvot.gateway.upstream.forward import ForwardUpstream
from kvot.gateway.upstream.port import UpstreamFailed, UpstreamRequest
from tests.provider import Fault, Provider, Script

BODY = b'{"model":"m"}'


@pytest.fixture
async def upstream():
    made = ForwardUpstream(idle_timeout_ms=5_000)
    yield made
    await made.close()


def call(url, *headers):
    return UpstreamRequest("POST", url + "/v1/chat/completions", headers, BODY)


async def get(upstream, url, *headers):
    reply = await upstream.send(call(url, *headers))
    try:
        return b"".join([data async for data in reply.chunks()])
    finally:
        await reply.close()


@asynccontextmanager
async def saying(*pieces, again=b""):
    """A provider that answers anything with these bytes, then with `again` for ever."""

    async def serve(reader, writer):
        await reader.readuntil(BODY)
        try:
            for piece in pieces:
                writer.write(piece)
            while again:
                writer.write(again)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One that signs itself, for 127.0.0.1 alone; its file holds the key too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mock")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    signed = made.add_extension(hosts, critical=False).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "mock.crt"
    path.write_bytes(signed.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return path


@pytest.fixture
async def tls_provider(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with Provider(tls=context) as made:
        yield made


class TestTls:
    async def test_a_trusted_certificate_is_accepted_and_its_connection_kept(self, tls_provider, certificate):
        upstream = ForwardUpstream(trust=ssl.create_default_context(cafile=str(certificate)))
        for _ in range(3):
            assert await get(upstream, tls_provider.url) == tls_provider.requests[-1].reply
        assert {received.connection for received in tls_provider.requests} == {1}
        await upstream.close()

    async def test_what_the_operating_system_does_not_trust_is_sent_nothing(self, tls_provider, upstream):
        with pytest.raises(UpstreamFailed) as raised:
            await get(upstream, tls_provider.url)
        assert not raised.value.was_sent
        assert not tls_provider.requests

    async def test_a_certificate_of_another_host_is_sent_nothing(self, tls_provider, certificate):
        upstream = ForwardUpstream(trust=ssl.create_default_context(cafile=str(certificate)))
        with pytest.raises(UpstreamFailed) as raised:
            await get(upstream, tls_provider.url.replace("127.0.0.1", "localhost"))
        assert not raised.value.was_sent
        assert not tls_provider.requests

    async def test_leaving_closes_it(self, tls_provider, certificate):
        upstream = ForwardUpstream(trust=ssl.create_default_context(cafile=str(certificate)))
        tls_provider.script = Script(fault=Fault.HANG)
        task = asyncio.create_task(upstream.send(call(tls_provider.url)))
        received = await tls_provider.arrival()
        task.cancel()
        await asyncio.wait_for(received.closed.wait(), 1)
        await upstream.close()


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "ftp://h/",
            "//h/",
            "http:///x",
            "http://user:word@h/",
            "http://h/a b",
            "http://h/\r\nx: 1",
            "http://h/\t",
            "http://h/å",
            "http://h:99999/",
        ],
    )
    async def test_what_is_no_address_is_sent_nothing(self, upstream, url):
        with pytest.raises(UpstreamFailed) as raised:
            await upstream.send(UpstreamRequest("GET", url, (), None))
        assert not raised.value.was_sent

    async def test_the_environment_names_no_proxy(self, upstream, monkeypatch):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with Provider() as provider:
            assert await get(upstream, provider.url) == provider.requests[0].reply

    async def test_what_belongs_to_a_connection_is_not_passed(self, upstream):
        ours = [
            "Host",
            "content-length",
            "transfer-encoding",
            "connection",
            "te",
            "upgrade",
            "accept-encoding",
            "expect",
        ]
        async with Provider() as provider:
            await get(upstream, provider.url, *((name.encode(), b"7") for name in ours))
        headers = provider.requests[0].headers
        assert [name for name, _ in headers] == ["host", "accept-encoding", "content-length"]
        assert "7" not in [value for _, value in headers]


class TestBounds:
    HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    @pytest.mark.parametrize(
        ("before", "again"),
        [
            ([b"HTTP/1.1 200 OK\r\n"], b"x-a: 1\r\n"),
            ([b"HTTP/1.1 200 OK\r\nx-a: "], b"1"),
            ([], b"HTTP/1.1 100 Continue\r\n\r\n"),
            ([HEAD, b"2;x="], b"1"),
            ([HEAD, b"0\r\n"], b"x-a: 1\r\n"),
        ],
        ids=["headers", "header", "interims", "extension", "trailers"],
    )
    async def test_what_is_no_body_ends(self, upstream, before, again):
        async with saying(*before, again=again * 1_000) as url:
            with pytest.raises(UpstreamFailed) as raised:
                await asyncio.wait_for(get(upstream, url), 10)
        assert "too large" in str(raised.value)

    @pytest.mark.parametrize(
        "reply",
        [
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"",
        ],
    )
    async def test_what_is_no_reply_fails(self, upstream, reply):
        async with saying(reply) as url:
            with pytest.raises(UpstreamFailed) as raised:
                await asyncio.wait_for(get(upstream, url), 10)
        assert raised.value.was_sent

    @pytest.mark.parametrize("coding", [b"transfer-encoding: gzip, chunked", b"Transfer-Encoding: GZIP ,Chunked"])
    async def test_what_is_compressed_for_the_way_is_unpacked(self, upstream, coding):
        packed = gzip.compress(b"{}")
        async with saying(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (coding, len(packed), packed)) as url:
            assert await get(upstream, url) == b"{}"

    async def test_a_call_too_many_waits_and_is_sent_nothing(self):
        upstream = ForwardUpstream(calls_max=1, connect_timeout_ms=50)
        async with Provider() as provider:
            first = await upstream.send(call(provider.url))
            with pytest.raises(UpstreamFailed) as raised:
                await upstream.send(call(provider.url))
            assert not raised.value.was_sent
            await first.close()
            await get(upstream, provider.url)
            await upstream.close()
        assert len(provider.requests) == 2

    async def test_every_call_gives_its_turn_back(self):
        upstream = ForwardUpstream(calls_max=1, connect_timeout_ms=50, idle_timeout_ms=50)
        faults = [
            Fault.DROP_BEFORE_HEAD,
            Fault.HANG,
            Fault.DROP_AFTER_BYTES,
            Fault.STALL,
            Fault.HUGE_HEADER,
            Fault.BOMB,
        ]
        async with Provider(*(Script(fault=fault) for fault in faults), Script()) as provider:
            for _ in faults:
                with pytest.raises(UpstreamFailed, match="provider"):
                    await get(upstream, provider.url)
            assert await get(upstream, provider.url) == provider.requests[-1].reply
            await upstream.close()

    async def test_each_wait_has_the_whole_time_though_all_share_a_timer(self):
        upstream = ForwardUpstream(idle_timeout_ms=400)
        async with Provider(Script(chunks=6, delay_ms=100), Script(fault=Fault.HANG)) as provider:
            stream = call(provider.url)._replace(body=b'{"model":"m","stream":true,"messages":[]}')
            reply = await upstream.send(stream)
            assert b"".join([data async for data in reply.chunks()]) == provider.requests[0].reply
            with pytest.raises(UpstreamFailed, match=r"said nothing for 0\.4 s"):
                await get(upstream, provider.url)
            await upstream.close()


class TestKeeping:
    async def test_no_more_are_kept_than_may_be(self):
        upstream = ForwardUpstream(kept_max=2)
        async with Provider() as provider:
            await asyncio.gather(*(get(upstream, provider.url) for _ in range(5)))
            await asyncio.gather(*(get(upstream, provider.url) for _ in range(5)))
            assert {received.connection for received in provider.requests} == set(range(1, 9))
            await upstream.close()

    async def test_one_idle_for_too_long_is_not_used_again(self):
        upstream = ForwardUpstream(keep_ms=-1)
        async with Provider() as provider:
            for _ in range(3):
                await get(upstream, provider.url)
            assert len({received.connection for received in provider.requests}) == 3
            await upstream.close()

    async def test_a_reply_that_closes_is_the_last_on_its_connection(self, upstream):
        async with Provider(Script(headers=(("connection", "close"),))) as provider:
            for _ in range(2):
                await get(upstream, provider.url)
            assert {received.connection for received in provider.requests} == {1, 2}

    async def test_a_reply_that_was_not_read_frees_no_connection(self, upstream):
        async with Provider(Script(chunks=3, pace=asyncio.Semaphore(1))) as provider:
            reply = await upstream.send(call(provider.url))
            await reply.close()
            await reply.close()
            provider.script = Script()
            assert await get(upstream, provider.url) == provider.requests[1].reply
