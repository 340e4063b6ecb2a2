# SPDX-License-Identifier: Apache-2.0
"""Addresses of ZeroMQ, and whether they may be used: checked before a socket is opened.

Binding is for this machine alone unless `public` says otherwise, and by a path for this user alone. An abstract name
has no owner and no mode, so every local user can connect to it: it is bound with `public` or a curve key only. How
paths are bound, and how the owner of what is connected to is checked, is in local.py.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from framebus._util.names import has_lone_surrogates
from framebus.errors import EndpointError, InvalidUrl

_HOST_AND_PORT = re.compile(r"//(\[[0-9a-fA-F:.%]+\]|[^\[\]/:@]+):(\d{1,5}|\*)")
_ANY = ("*", "0.0.0.0", "[::]")


@dataclass(frozen=True)
class Address:
    """One checked address.

    Attributes:
        url: as the user wrote it, without options.
        endpoint: as ZeroMQ wants it.
        bind: whether this side binds; else it connects.
        is_ipv6: whether the host is a numeric address with colons.
        is_tcp: whether it is TCP; else a path.
        is_loopback: whether it is TCP that does not leave this machine, as far as the address says.
        is_public: whether other users of this machine are let in, and trusted, at a path or an abstract name.
    """

    url: str
    endpoint: str
    bind: bool
    is_ipv6: bool = False
    is_tcp: bool = True
    is_loopback: bool = False
    is_public: bool = False

    @property
    def path(self) -> str | None:
        """The path of a socket that has one; None for TCP and for abstract names."""
        name = self.endpoint.removeprefix("ipc://")
        return None if self.is_tcp or name.startswith("@") else name


def check(scheme: str, rest: str, *, bind: bool, public: bool, has_keys: bool = False) -> Address:
    """Returns the address that `scheme:rest` says.

    Raises:
        InvalidUrl: no host and port, no path, or what ZeroMQ can't take since it is not UTF-8.
        EndpointError: binding there would let in other machines, or all users of this one.
    """
    if has_lone_surrogates(rest):
        raise InvalidUrl(f"{scheme + ':' + rest!r}: an address of ZeroMQ is UTF-8, and this is not; give another path")
    return _tcp(rest, bind, public) if scheme == "tcp" else _ipc(rest, bind, public, has_keys)


def _tcp(rest: str, bind: bool, public: bool) -> Address:
    url = f"tcp:{rest}"
    found = _HOST_AND_PORT.fullmatch(rest)
    port = 0 if found is None or found[2] == "*" else int(found[2])
    if found is None or port > 65535:
        raise InvalidUrl(f"{url!r}: expected tcp://HOST:PORT, such as tcp://127.0.0.1:7000")
    host = found[1]
    if not bind and (port == 0 or host in _ANY):
        raise InvalidUrl(f"{url!r}: to connect takes the host and the port of the peer; or pass bind=true")
    if bind and not public and not _is_loopback(host):
        raise EndpointError(
            f"{url!r} would let other machines in; bind to 127.0.0.1, or pass public=true if that is meant, "
            "and curve_secret_key= so that only programs that know this side's key can connect"
        )
    numeric = "127.0.0.1" if bind and host == "localhost" else host
    return Address(
        url, f"tcp://{numeric}:{port or '*'}", bind, is_ipv6=host.startswith("["), is_loopback=_is_loopback(host)
    )


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "lo"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # the name of an interface, or *


def _ipc(rest: str, bind: bool, public: bool, has_keys: bool) -> Address:
    url = f"ipc:{rest}"
    path = rest[2:]
    if not rest.startswith("//") or not path or "\0" in path:
        raise InvalidUrl(f"{url!r}: expected ipc://PATH, such as ipc:///run/user/1000/camera0")
    if bind and path.startswith("@") and not (public or has_keys):
        raise EndpointError(
            f"{url!r} would let every user of this machine in, since an abstract name has no mode; bind to a path, "
            "such as ipc:///run/user/1000/camera0, or pass public=true if that is meant, or curve_secret_key= so that "
            "only programs that know this side's key can connect"
        )
    return Address(url, f"ipc://{path}", bind, is_tcp=False, is_public=public)
