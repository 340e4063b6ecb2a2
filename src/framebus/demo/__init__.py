# SPDX-License-Identifier: Apache-2.0
"""The main job, to be seen: one program plays a clip into a channel, another works on every frame, a third watches.

    play       program A: python -m framebus.demo.play CHANNEL --source FILE|pattern
    process    program B: python -m framebus.demo.process IN OUT
    run        starts both and watches; `framebus demo` calls it

play takes its pictures from the endpoint video: or from pattern, process has its algorithm in algorithm. report is what
both say about themselves, lifeline how they end with the program that started them. On the side of run, child starts
one of them, watch follows both channels, and table, summary and side_by_side show what there is to see.
"""
