# SPDX-License-Identifier: Apache-2.0
"""The same frames through every mechanism, between two real programs: what `framebus bench mechanisms` runs.

`links` says the URLs of each mechanism, `endpoint_program` is the program for each of them, `measure` starts both and
collects what they found, `chart` draws it. The peers from outside are measured by benchmarks/ in the repository.
"""
