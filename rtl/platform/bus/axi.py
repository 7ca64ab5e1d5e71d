"""Ports of AXI4 and AXI4-Lite, by the names that the standard has."""

from dataclasses import dataclass

from amaranth.lib.wiring import In, Member, Out

__all__ = [
    "BURST_INCREMENTING",
    "CACHE_BUFFERABLE",
    "Response",
    "lite_ports",
    "read_ports",
    "write_ports",
]

BURST_INCREMENTING = 1
"""Value of ``arburst`` and ``awburst``."""

CACHE_BUFFERABLE = 0b0011
"""Value of ``arcache`` and ``awcache``: accesses may be combined and kept on their way."""


@dataclass(frozen=True)
class Response:
    """Values of ``rresp`` and ``bresp``."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


def read_ports(prefix: str, bits: int) -> dict[str, Member]:
    """Return the read channels of a master with ``bits`` bits of data and addresses of 64 bits."""
    return {
        **_address(f"{prefix}_ar", bits),
        f"{prefix}_rvalid": In(1),
        f"{prefix}_rready": Out(1),
        f"{prefix}_rid": In(1),
        f"{prefix}_rdata": In(bits),
        f"{prefix}_rresp": In(2),
        f"{prefix}_rlast": In(1),
    }


def write_ports(prefix: str, bits: int) -> dict[str, Member]:
    """Return the write channels of a master with ``bits`` bits of data and addresses of 64 bits."""
    return {
        **_address(f"{prefix}_aw", bits),
        f"{prefix}_wvalid": Out(1),
        f"{prefix}_wready": In(1),
        f"{prefix}_wdata": Out(bits),
        f"{prefix}_wstrb": Out(bits // 8),
        f"{prefix}_wlast": Out(1),
        f"{prefix}_bvalid": In(1),
        f"{prefix}_bready": Out(1),
        f"{prefix}_bid": In(1),
        f"{prefix}_bresp": In(2),
    }


def _address(prefix: str, bits: int) -> dict[str, Member]:
    return {
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
        f"{prefix}id": Out(1),
        f"{prefix}addr": Out(64),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}lock": Out(1),
        f"{prefix}cache": Out(4),
        f"{prefix}prot": Out(3),
        f"{prefix}qos": Out(4),
    }


def lite_ports(prefix: str, address_bits: int) -> dict[str, Member]:
    """Return the channels of an AXI4-Lite slave with 32 bits of data."""
    return {
        f"{prefix}_awvalid": In(1),
        f"{prefix}_awready": Out(1),
        f"{prefix}_awaddr": In(address_bits),
        f"{prefix}_awprot": In(3),
        f"{prefix}_wvalid": In(1),
        f"{prefix}_wready": Out(1),
        f"{prefix}_wdata": In(32),
        f"{prefix}_wstrb": In(4),
        f"{prefix}_bvalid": Out(1),
        f"{prefix}_bready": In(1),
        f"{prefix}_bresp": Out(2),
        f"{prefix}_arvalid": In(1),
        f"{prefix}_arready": Out(1),
        f"{prefix}_araddr": In(address_bits),
        f"{prefix}_arprot": In(3),
        f"{prefix}_rvalid": Out(1),
        f"{prefix}_rready": In(1),
        f"{prefix}_rdata": Out(32),
        f"{prefix}_rresp": Out(2),
    }
