"""Which addresses only this machine can reach."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens there.

    Args:
        host: A name, or an address, an IPv6 address in brackets or not.
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    addresses = [str(one[4][0]).split("%")[0] for one in found]
    return bool(addresses) and all(ipaddress.ip_address(one).is_loopback for one in addresses)
