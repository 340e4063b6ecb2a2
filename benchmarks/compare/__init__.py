# SPDX-License-Identifier: Apache-2.0
"""framebus beside its peers: the same work, in turn, in one run. `python -m benchmarks` without a name runs it.

- `task`       what one measurement is, and what the two ends report
- `sending`, `watching`   what a sender and a receiver do for each frame
- `programs`   the programs at the two ends
- `runner`     starts them, lets them work, sums up
- `plan`       who is measured at what
- `rule`       who is measured again in the further rounds
- `run`        the rounds
- `limits`     what the machine can do: C++ hand-overs, the C++ API, a bare copy
- `figures`    the figures of framebus that have a target
- `targets`    compares them with the targets in benchmarks/targets.json
- `tables`, `charts`, `page`   what is printed, drawn and written
"""
