# SPDX-License-Identifier: Apache-2.0
"""Publisher and Subscriber of channels in shared memory, and what reports about channels."""
