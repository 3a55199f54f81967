"""Which addresses are public, and which are of this machine or of a network inside: a message for outside must not go there by mistake or trick."""

import ipaddress

_NAT64, _UNICAST = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2000::/3")
"""IPv6 that carries a public IPv4 address, and all that is public of the rest.

Source: https://www.iana.org/assignments/ipv6-address-space - what is not of the second is of a network inside, of a machine, or nobody's
"""


def is_inside(address: str) -> bool:
    """Whether an IP address is anything but a public one. Raises: ValueError if it is none."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        carried = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            carried = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if carried is None:
            is_tunnel = found.teredo is not None  # a stranger says where it ends
            return found not in _UNICAST or is_tunnel or not found.is_global
        found = carried
    return not found.is_global or found.is_multicast
