# SPDX-License-Identifier: Apache-2.0
"""eCAL over shared memory: Publisher.send(bytes), and a callback that looks at the frame.

Followed: its chapter on the shared memory layer. Zero-copy mode saves the copy on the receiving side; where nothing may
be lost, the acknowledge timeout makes the publisher wait until every subscriber's callback has ended. The Python API
takes and gives bytes, so an array has to be made bytes first. Other transports are off; ends find each other every
0.1 s instead of every second, before anything is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.callback import CalledBack
from benchmarks.peers.peer import PATIENCE_S, Channel, Image

DISTRIBUTION = "eclipse-ecal"
REFRESH_MS = 100


def start(unit: str) -> Any:
    """Starts eCAL in this program; returns the module."""
    import ecal.nanobind_core as ecal

    configuration = ecal.get_configuration()
    configuration.registration.registration_refresh = REFRESH_MS
    configuration.logging.provider.console.enable = False
    ecal.initialize(configuration, unit)
    return ecal


class Sender:
    def __init__(self, channel: Channel) -> None:
        self._ecal = start("sender")
        configuration = self._ecal.get_publisher_configuration()
        configuration.layer.udp.enable = configuration.layer.tcp.enable = False
        configuration.layer.shm.zero_copy_mode = True
        if channel.lossless:
            configuration.layer.shm.acknowledge_timeout_ms = int(PATIENCE_S * 1000)
        self._publisher = self._ecal.Publisher(channel.name, self._ecal.DataTypeInformation(), configuration)

    def send(self, image: Image) -> None:
        self._publisher.send(image.tobytes())

    def close(self) -> None:
        self._publisher = None
        self._ecal.finalize()


class Receiver(CalledBack):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._ecal = start("receiver")
        self._shape = channel.shape
        self._subscriber = self._ecal.Subscriber(channel.name)
        self._subscriber.set_receive_callback(self._receive)

    def _receive(self, _topic: Any, _type: Any, data: Any) -> None:
        self.show(np.frombuffer(data.buffer, np.uint8).reshape(self._shape))

    def close(self) -> None:
        self._subscriber.remove_receive_callback()
        self._subscriber = None
        self._ecal.finalize()


def events() -> set[Path]:
    return set(Path("/dev/shm").glob("ecal_*_evt"))


def prepare(channel: Channel) -> set[Path]:
    """What is there already."""
    return events()


def open_sender(channel: Channel, shared: Any) -> Sender:
    return Sender(channel)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:
    return Receiver(channel)


def remove(channel: Channel, shared: set[Path]) -> None:
    """Now and then it leaves the events of a program that has ended, whose number is in the name."""
    for path in events() - shared:
        number = path.name.removesuffix("_evt").removesuffix("_ack").rpartition("_")[2]
        if not Path("/proc", number).exists():
            path.unlink(missing_ok=True)
