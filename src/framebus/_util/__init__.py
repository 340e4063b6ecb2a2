# SPDX-License-Identifier: Apache-2.0
"""What every layer may use: descriptors, locks, deadlines, names, exit and fork. Nothing here knows frames."""
