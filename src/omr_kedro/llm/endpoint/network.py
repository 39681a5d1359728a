"""The way to an endpoint: its proxy, and the certificates that it is trusted by, as the environment names them.

Not aiohttp's own `trust_env`: that also sends what a `.netrc` holds, and sends calls of local servers to a proxy.
"""

from __future__ import annotations

import ipaddress
import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from omr_kedro.llm.calls.errors import EndpointError


def proxy_of(url: str) -> str | None:
    """The proxy that calls of an address go through, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

    Servers of this machine are reached without one, whatever these say.

    Raises:
        EndpointError: the proxy speaks something else than HTTP.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_this_machine(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise EndpointError(
            f"Calls to {host} would go through a proxy of scheme '{urlsplit(proxy).scheme}', and only http and https "
            f"ones can be used. Set {parts.scheme.upper()}_PROXY to one of these, or name the host in NO_PROXY."
        )
    return proxy


def trust_of(url: str) -> ssl.SSLContext | bool:
    """The certificates that an address must be signed by: the system's, or those of `SSL_CERT_FILE`, `SSL_CERT_DIR`."""
    return ssl.create_default_context() if urlsplit(url).scheme == "https" else True


def is_this_machine(host: str) -> bool:
    """Whether a host is the one that this process runs on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
