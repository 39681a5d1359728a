from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from omr_kedro.llm.calls import Request, Sampling
from omr_kedro.llm.calls.errors import CallError, EndpointError
from omr_kedro.llm.endpoint import ClientKind
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.endpoint.network import proxy_of
from tests.support.chat_server import ChatServer

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine that tests run on."""
    for name in (*_PROXIES, *(name.lower() for name in _PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=get_args(ClientKind))
def kind(request: pytest.FixtureRequest) -> ClientKind:
    """The way to an endpoint is the same for all HTTP clients."""
    chosen: ClientKind = request.param
    return chosen


async def ask(url: str, kind: ClientKind) -> str:
    request = Request("row", [{"role": "user", "content": "2 + 2?"}], Sampling(), "prompt", ())
    async with ChatClient(url, "m", "a-key-of-mine", client=kind) as client:
        return (await client.complete(request, "k")).text


async def test_calls_go_through_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, kind: ClientKind
) -> None:
    with ChatServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        assert await ask("http://models.example/v1", kind) == "fine"
    (call,) = proxy.calls
    assert call.authorization == "Bearer a-key-of-mine"


async def test_what_a_netrc_holds_is_sent_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: ClientKind
) -> None:
    (tmp_path / "netrc").write_text("default login me password hunter2")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ChatServer() as server:
        await ask(server.base_url, kind)
    assert server.calls[0].authorization == "Bearer a-key-of-mine"


@pytest.mark.parametrize("url", ["http://host:port/v1", "no-scheme/v1", "http://no such host/v1"])
async def test_what_is_no_address_is_an_error_of_ours(url: str, kind: ClientKind) -> None:
    with pytest.raises((CallError, EndpointError)):
        await ask(url, kind)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.1.2.3", "inside.example"])
def test_this_machine_and_hosts_that_are_excepted_need_no_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_of(f"http://{host}/v1") is None
    assert proxy_of("http://outside.example/v1") == "http://proxy.example:3128"


def test_a_proxy_is_named_in_any_of_the_usual_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "proxy.example:1")
    assert proxy_of("https://a.example/v1") == "http://proxy.example:1"
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:2")
    assert proxy_of("https://a.example/v1") == "http://me:secret@proxy.example:2"


def test_a_proxy_that_cannot_be_used_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1080")
    with pytest.raises(EndpointError, match="NO_PROXY") as refused:
        proxy_of("https://a.example/v1")
    assert "secret" not in str(refused.value)


async def test_a_certificate_of_ones_own_is_trusted_by_name_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: ClientKind
) -> None:
    certificate, key = _certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with ChatServer(tls=context) as server:
        with pytest.raises(CallError) as refused:
            await ask(server.base_url, kind)
        assert (refused.value.kind, refused.value.retryable, server.calls) == ("untrusted", False, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await ask(server.base_url, kind) == "fine"


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*words, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("makes its certificate with openssl, which is not on this machine")
    return certificate, key
