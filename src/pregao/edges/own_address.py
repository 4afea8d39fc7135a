"""The address this machine leaves by, as far as it can know: where it is private, the world sees its router's."""

import ipaddress
import socket
from dataclasses import dataclass

ELSEWHERE = ("192.0.2.1", 9)  # a place of no one's, so that the way out is chosen; nothing is sent there


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address of this machine, and whether it is one the world can see."""

    text: str
    is_public: bool


def own_address() -> OwnAddress | None:
    """Give it; None where there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            text: str = probe.getsockname()[0]
        except OSError:
            return None
    return OwnAddress(text, ipaddress.ip_address(text).is_global)
