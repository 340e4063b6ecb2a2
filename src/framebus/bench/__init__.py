# SPDX-License-Identifier: Apache-2.0
"""The same frames through every mechanism, between two real programs: what `framebus bench mechanisms` runs.

`links` says how the two ends of each mechanism are named, `end` is the program at either end, `measure` starts both and
collects what they found, `chart` draws it. The peers from outside are measured by benchmarks/ in the repository.
"""
