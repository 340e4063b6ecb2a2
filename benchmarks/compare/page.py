# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md: the method in words, and the tables and charts of one run."""

from __future__ import annotations

from benchmarks.compare import tables
from benchmarks.compare.charts import NAMES
from benchmarks.compare.results import Results

HEAD = """\
# framebus beside its peers

This page is written by `scripts/bench` together with `benchmarks/results/latest.json`. All figures are from one run; what counts are ratios
within it, since another machine, or the same on another day, gives other microseconds.

    scripts/bench                 the whole comparison; prints what is on this page, and writes it anew
    scripts/bench --quick         a single short round, to see that everything works
    scripts/bench send handover   single benchmarks by name; `page` writes this page from the last results
"""

METHOD = """\
## What is measured

Sender and receivers are programs of their own, started afresh for each measurement by one runner (`benchmarks/compare`), and all do the same
work. A sender starts with a filled numpy array; the frame's number and the time go into its first 16 bytes. A receiver ends with a readable numpy
array of the same shape and reads its first and its last element. When `send` has returned, the array is the sender's again; what sends
from the caller's memory later has to wait or to copy. By loan, the sender writes number, time and last element into memory that it has
borrowed, and nothing is copied.

- **Latency**: CLOCK_MONOTONIC from just before the call that sends to just after the receiver has read both elements. The sender sleeps
  until absolute deadlines, 100 a second, so both programs have been idle for most of 10 ms before each frame, as they are between two
  frames of a camera. A tight loop would give much smaller figures that nobody sees in use.
- **Throughput**: as fast as it goes. Receivers check that every number comes, in order; a measurement that lost one counts as failed. framebus
  does that with `every=True` and `on_full="block"`.
- **Fan-out**: 1080p at 60 Hz to 1, 3 and 8 programs. CPU is that of all of them, for each frame that was sent; lost frames are
  counted over all receivers.
- **CPU** is what the programs themselves report (all threads, user and system), from the first frame to the last.
- What is imported, connected or allocated once is over before counting begins: the sender sends frames that do not count until every
  receiver has seen one.

Measurements are taken in turn, all contenders at one task one after the other, and the whole list again in each round. A figure is the median
over the rounds, with the least and the most beside it; p50 and p99 are taken within a round first. Whoever is not installed, can't do the
work or fails is named at the end with the reason.

## Who takes part

Each peer is one file in `benchmarks/peers`, written as its documentation recommends for speed; the head of the file says which
recommendation that is.

| peer | how |
| --- | --- |
| framebus | `Publisher`, `Subscriber`; `adaptive` is the default, the other policies are for comparison |
| shared_memory, semaphores | `multiprocessing.shared_memory`, two buffers that are looked at in place, two semaphores for each receiver; the sender waits for the slowest |
| iceoryx2 | publish-subscribe of byte slices; woken by its event service, or polling without a pause |
| Unix socket | `sendmsg` and `recv_into` an array that is made once |
| pyzmq ipc | `send(copy=False)` with its tracker, `recv(copy=False)`; PUB and SUB for several receivers |
| pyshmem | `notify=True`, `read_after(out=)`; it holds one frame, so it can't deliver every frame |
| eCAL | shared memory with zero-copy mode; its Python API takes and gives `bytes` |
| Zenoh | a Unix socket, and its shared memory from 64 KiB on; its Python API takes and gives `bytes` |
| multiprocessing.Pipe | `send_bytes` and `recv_bytes_into` |
| multiprocessing.Queue | `put` and `get`, which pickle |

They do not promise the same. The hand-written double buffer stops when a receiver stops, and for good when one is killed; it has no place for
a frame of another size, or for a receiver that comes later. Polling takes a core for each receiver.

The limits are what the same machine does without any of this: 64 bytes handed over in C++ with a futex (parked; spinning; asleep until just
before the frame is due, then spinning), and `numpy.copyto` into as many warm buffers in /dev/shm as the channel used in turn, which the
channel itself says. The limit of a latency is the parked hand-over and the copy together.
"""


def words(results: Results) -> str:
    """Machine, versions and effort in a few lines."""
    machine, effort = results.machine, results.effort
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, largest cache"
        f" {machine['cache_mib']} MiB, {machine['system']}, Python {machine['python']}.\n"
        f"Load {machine['load_before']} when it began and {machine['load_after']} at the end (its own included); "
        f"{effort['rounds']} rounds in {effort['minutes']} minutes, a measurement takes {effort['latency_s']} s (latency),\n"
        f"{effort['throughput_s']} s (throughput), {effort['fanout_s']} s (fan-out).\n\n"
        f"Versions: {versions}."
    )


def sections(results: Results) -> list[tuple[str, str]]:
    """Titles and tables, for the terminal and for the page."""
    found = [
        ("The figures framebus is to reach", tables.figures(results)),
        ("Limits of the machine", tables.limits(results)),
        ("Latency at 100 Hz, by send", tables.latency(results, in_place=False)),
        ("Latency at 100 Hz, by loan", tables.latency(results, in_place=True)),
        ("The predictive policy", tables.others(results)),
        ("Throughput with nothing lost, by send", tables.throughput(results, in_place=False)),
        ("Throughput with nothing lost, by loan", tables.throughput(results, in_place=True)),
        ("Fan-out, 1080p at 60 Hz", tables.fan_out(results)),
        ("Loan, commit, recv, `.array`, release in one process, µs", tables.one_process(results)),
        ("Not measured, and why", tables.problems(results) or "Nothing: everybody did all of the work."),
    ]
    return found


PICTURES = {
    "Latency at 100 Hz, by send": (NAMES[0], "Latency of all frames, as a distribution"),
    "Latency at 100 Hz, by loan": (NAMES[1], "Latency by size"),
    "Throughput with nothing lost, by loan": (NAMES[2], "Frames per second by size"),
    "Fan-out, 1080p at 60 Hz": (NAMES[3], "CPU by subscribers"),
}


def text(results: Results) -> str:
    """The whole page."""
    parts = [HEAD, METHOD, f"## The machine, and what ran on it\n\n{words(results)}\n"]
    for title, body in sections(results):
        parts.append(f"## {title}\n\n{body}\n")
        if title in PICTURES:
            name, caption = PICTURES[title]
            parts.append(f"![{caption}](images/{name}.png)\n")
    return "\n".join(parts)
