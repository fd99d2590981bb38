"""Hosts and ports: IPv4, IPv6 and names; what exactly is wrong with one that cannot be opened."""

import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address


def without_brackets(host: str) -> str:
    """The host as the system's resolver takes it: `::1` for `[::1]`."""
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    return host


def joined(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    bare = without_brackets(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host; a name, by every address that it stands for.

    Raises:
        ValueError: the name does not stand for an address.
    """
    found = [address for *_, address in _resolved(host, 0)]
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for address in found)


def opened(host: str, port: int, *, name: str) -> socket.socket:
    """A socket that listens on the first address of a host.

    Args:
        host: Address or name.
        port: TCP port; 0 for a free one.
        name: Option that holds the port, for the error.

    Raises:
        ValueError: the port is taken, or the host is not an address of this machine.
    """
    family, kind, protocol, _, address = _resolved(host, port)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # `::` is also every IPv4 interface, as gRPC opens it
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise ValueError(_reason(error, host, port, name)) from error
    return listening


def explained(host: str, port: int, *, name: str) -> ValueError:
    """Why gRPC, which only says that it failed, could not open a port."""
    try:
        opened(host, port, name=name).close()
    except ValueError as error:
        return error
    return ValueError(f"{name} must be free to bind, got {joined(host, port)}")


def _resolved(host: str, port: int) -> Sequence[tuple[int, int, int, str, tuple[object, ...]]]:
    try:
        return socket.getaddrinfo(
            without_brackets(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ValueError(f"host must be an address or a known name, got {host!r}") from error


def _reason(error: OSError, host: str, port: int, name: str) -> str:
    address = joined(host, port)
    if error.errno == errno.EADDRINUSE:
        return f"{name} must be free to bind, got {address}, which another process uses"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"host must be an address of this machine, got {without_brackets(host)}"
    if error.errno == errno.EACCES:
        return f"{name} must be one that this user may open, got {port}"
    return f"host and {name} must be free to bind, got {address}: {error.strerror}"
