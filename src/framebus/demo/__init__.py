# SPDX-License-Identifier: Apache-2.0
"""The demo: one program plays a clip into a channel, another processes every frame, a third watches both.

    play       the player: python -m framebus.demo.play CHANNEL --source FILE|pattern
    process    the worker: python -m framebus.demo.process IN OUT
    run        starts both and watches; `framebus demo` calls it

play takes its pictures from the endpoint video: or from pattern; the algorithm of process is in algorithm. Both write
reports (report) and end with the program that started them (lifeline). For run, child starts one of them, watch follows
both channels, and table, summary and side_by_side show the results.
"""
