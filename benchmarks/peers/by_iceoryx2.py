# SPDX-License-Identifier: Apache-2.0
"""iceoryx2: publish-subscribe of byte slices. Option `wake`: "event" or "poll".

Followed: `loan_slice_uninit` with the final length known in advance (`initial_max_slice_len`), as its example for
dynamic data does, so that nothing is reallocated; as_memory_view() of the payload, which 0.10 offers to view a sample
in place; a notifier and a listener beside the data (its example of event based communication), where every wake-up
reads all samples there are; or `receive()` in a loop without sleep, as its own latency benchmark does. Subscribers of
the newest frame have a queue of one with safe overflow, as that benchmark has; where nothing may be lost, overflow is
off and the publisher retries until the frame is delivered.
"""

from __future__ import annotations

import ctypes
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Channel, Image, Look, Unable, write_ends

DISTRIBUTION = "iceoryx2"
POLLS = 64  # without looking at the clock
QUEUE = 4


class Port:
    """A node, and the two services of one channel."""

    def __init__(self, channel: Channel, root: str) -> None:
        import iceoryx2 as iox2

        self.iox2 = iox2
        self.channel = channel
        self.events_wanted = channel.options["wake"] == "event"
        iox2.set_log_level(iox2.LogLevel.Fatal)
        config = iox2.config.default()
        config.global_cfg.prefix = iox2.FileName.new(f"{channel.name}_")
        config.global_cfg.root_path = iox2.Path.new(f"{root}/")
        self.node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)
        name = iox2.ServiceName.new("frames")
        builder = self.node.service_builder(name).publish_subscribe(iox2.Slice[ctypes.c_uint8])
        builder = builder.enable_safe_overflow(not channel.lossless).max_subscribers(max(2, channel.receivers))
        builder = builder.subscriber_max_buffer_size(QUEUE if channel.lossless else 1)
        self.frames = builder.open_or_create()
        events = self.node.service_builder(name).event()
        self.events = events.max_listeners(max(2, channel.receivers)).open_or_create() if self.events_wanted else None

    def array(self, sample: Any) -> Image:
        """The memory of a sample."""
        return np.ndarray(self.channel.shape, np.uint8, sample.payload().as_memory_view())


class Sender(Port):
    def __init__(self, channel: Channel, root: str) -> None:
        super().__init__(channel, root)
        factory = self.frames.publisher_builder().initial_max_slice_len(channel.nbytes)
        if channel.lossless:
            factory = factory.backpressure_strategy(self.iox2.BackpressureStrategy.RetryUntilDelivered)
        self._publisher = factory.create()
        self._notifier = self.events.notifier_builder().create() if self.events else None

    def send(self, image: Image) -> None:
        sample = self._publisher.loan_slice_uninit(image.nbytes)
        np.copyto(self.array(sample), image)
        sample.assume_init().send()
        if self._notifier is not None:
            self._notifier.notify()

    def send_in_place(self, number: int, time_ns: int) -> None:
        sample = self._publisher.loan_slice_uninit(self.channel.nbytes)
        write_ends(self.array(sample), number, time_ns)
        sample.assume_init().send()
        if self._notifier is not None:
            self._notifier.notify()

    def close(self) -> None:
        self._publisher.delete()
        if self._notifier is not None:
            self._notifier.delete()


class Receiver(Port):
    def __init__(self, channel: Channel, root: str) -> None:
        super().__init__(channel, root)
        self._subscriber = self.frames.subscriber_builder().create()
        self._listener = self.events.listener_builder().create() if self.events else None

    def each(self, look: Look, timeout: float) -> None:
        if self._listener is None:
            self._poll(look, timeout)
            return
        subscriber, listener = self._subscriber, self._listener
        duration = self.iox2.Duration.from_millis(max(1, int(timeout * 1000)))
        while True:
            sample = subscriber.receive()  # also what came before the listener was there
            if sample is None:
                if not listener.timed_wait(duration):
                    return
            else:
                done = look(self.array(sample))
                del sample
                if done:
                    return

    def _poll(self, look: Look, timeout: float) -> None:
        receive = self._subscriber.receive
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for _ in range(POLLS):
                sample = receive()
                if sample is not None:
                    done = look(self.array(sample))
                    del sample
                    if done:
                        return
                    end = time.monotonic() + timeout

    def close(self) -> None:
        self._subscriber.delete()
        if self._listener is not None:
            self._listener.delete()


def prepare(channel: Channel) -> str:
    """The folder of its files; its path must be short."""
    if len(channel.folder) > 80:
        raise Unable("the path of the folder for temporary files is too long for iceoryx2")
    return f"{channel.folder}/iox2"


def open_sender(channel: Channel, shared: str) -> Sender:
    return Sender(channel, shared)


def open_receiver(channel: Channel, shared: str, number: int) -> Receiver:
    return Receiver(channel, shared)


def remove(channel: Channel, shared: str) -> None:
    """Its management segment stays even after an orderly end."""
    for path in Path("/dev/shm").glob(f"{channel.name}_*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(shared, ignore_errors=True)
