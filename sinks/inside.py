"""Which addresses are public, and which are of this machine or of a network inside: a message for outside must not go there by mistake or trick."""

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_inside(address: str) -> bool:
    """Whether an IP address is anything but a public one. Raises: ValueError if it is none."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found.sixtofour is not None:
            found = found.sixtofour
        elif found.teredo is not None:
            return True  # a tunnel whose end a stranger says
        elif found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    return not found.is_global or found.is_multicast
