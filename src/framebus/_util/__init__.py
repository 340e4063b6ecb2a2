# SPDX-License-Identifier: Apache-2.0
"""What every layer may use: descriptors, locks, deadlines, names, the ends of processes. It knows no frame."""
