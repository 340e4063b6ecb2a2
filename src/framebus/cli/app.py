# SPDX-License-Identifier: Apache-2.0
"""Puts the subcommands together."""

from __future__ import annotations

from cyclopts import App

import framebus
from framebus.cli import bench, channels, demo, doctor, endpoints, relay

app = App(
    name="framebus",
    help="Hands image frames from one program to others on the same machine, through named shared memory.",
    version=framebus.__version__,
)
app.command(demo.demo, name="demo")
app.command(channels.list_channels, name="list")
app.command(doctor.doctor, name="doctor")
app.command(endpoints.list_endpoints, name="endpoints")
app.command(relay.relay, name="relay")
app.command(bench.bench)
