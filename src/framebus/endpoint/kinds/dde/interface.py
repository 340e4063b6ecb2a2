# SPDX-License-Identifier: Apache-2.0
"""What stands on the bus: names, the two interfaces as every program can introspect them, and errors.

A frame is a descriptor and a description. The descriptor is a memfd that is sealed against shrinking and writing, with
the arrays in it, each in C order at a multiple of 64 bytes from the beginning. The description is the JSON object of
framebus.endpoint.wire:
{"seq":1,"timestamp_ns":...,"wall_time_ns":...,"pixel_format":null,"meta":{},"arrays":[{"name":"image",
"dtype":"|u1","shape":[480,640,3]}]}. `number` counts the frames of one service from 1. What is requested has a position
of its own in the memory; what comes with the signal Last is best mapped, for all listeners share one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from framebus._util import names
from framebus.endpoint import Capabilities
from framebus.endpoint.wire import DEFAULT_MAX_BYTES

CAPABILITIES = Capabilities(delivery="either", receivers="many", reconnects=True, max_bytes=DEFAULT_MAX_BYTES)
PREFIX = "org.framebus.dde."
PATH = "/org/framebus/Frames"
FRAMES = "org.framebus.Frames1"
POKES = "org.framebus.Pokes1"
FRAME_REPLY = "ths"  # number, memory, description
FRAME_ARGUMENTS = "hs"

NO_FRAME = "org.framebus.Error.NoFrame"
CLOSED = "org.framebus.Error.Closed"
SUPERSEDED = "org.framebus.Error.Superseded"
MALFORMED = "org.framebus.Error.Malformed"
WITHDRAWN = "org.framebus.Error.Withdrawn"
BUSY = "org.framebus.Error.Busy"

_FRAME_OUT = """
      <arg name="number" type="t" direction="out"/>
      <arg name="memory" type="h" direction="out"/>
      <arg name="description" type="s" direction="out"/>"""

# Request: the newest frame. Advise: the newest one that has a number above `after`, as soon as there is one; 0 takes
# any. A second Advise of the same program takes the place of the first. Changed: there is a newer one. Last and Closed:
# no more will come, and this was the last one.
_FRAMES_XML = f"""
  <interface name="{FRAMES}">
    <method name="Request">{_FRAME_OUT}
    </method>
    <method name="Advise">
      <arg name="after" type="t" direction="in"/>{_FRAME_OUT}
    </method>
    <signal name="Changed"><arg name="number" type="t"/></signal>
    <signal name="Last">
      <arg name="number" type="t"/>
      <arg name="memory" type="h"/>
      <arg name="description" type="s"/>
    </signal>
    <signal name="Closed"><arg name="number" type="t"/></signal>
  </interface>"""

# Poke: answered when there is room for the frame. Withdraw: the Poke of this program that is not answered yet is to be
# forgotten. A program that says Initiate says Terminate when it is done; one that vanishes without is taken for dead.
_POKES_XML = f"""
  <interface name="{POKES}">
    <method name="Poke">
      <arg name="memory" type="h" direction="in"/>
      <arg name="description" type="s" direction="in"/>
    </method>
    <method name="Withdraw"/>
    <method name="Initiate"/>
    <method name="Terminate"/>
    <signal name="Closed"/>
  </interface>"""

_STANDARD_XML = """
  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect"><arg name="xml" type="s" direction="out"/></method>
  </interface>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId"><arg name="id" type="s" direction="out"/></method>
  </interface>"""

_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN" '
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_INTERFACES = {FRAMES: _FRAMES_XML, POKES: _POKES_XML}


def bus_name(service: str) -> str:
    """Returns the name on the bus of a service, which is named like a channel. Raises InvalidName.

    A dot begins a new element. Elements that D-Bus does not allow, since they are empty or begin with a digit, get a _
    before them, and so do those that begin with one: "2.left" is org.framebus.dde._2.left.
    """
    elements = names.check(service, "a service").split(".")
    return PREFIX + ".".join(
        f"_{element}" if element[:1] in "_0123456789" else element  # "" is in every text
        for element in elements
    )


def introspection(interface: str, path: str) -> str | None:
    """Returns the XML for a path of a service with that interface, None if nothing is there."""
    if path == PATH:
        return f"{_DOCTYPE}<node>{_INTERFACES[interface]}{_STANDARD_XML}\n</node>\n"
    above = path if path.endswith("/") else f"{path}/"
    if not PATH.startswith(above):
        return None
    child = PATH[len(above) :].partition("/")[0]
    return f'{_DOCTYPE}<node>{_STANDARD_XML}\n  <node name="{child}"/>\n</node>\n'


def methods(interface: str) -> dict[str, str]:
    """Returns the methods of an interface and the signatures of their arguments."""
    return {
        method.attrib["name"]: "".join(arg.attrib["type"] for arg in method if arg.attrib["direction"] == "in")
        for method in ElementTree.fromstring(_INTERFACES[interface]).iter("method")
    }
