# SPDX-License-Identifier: Apache-2.0
"""What happens when the program ends: its ends of channels are closed, so that nothing is left behind.

Programs that end by a signal or os._exit() skip this; then the kernel says that they are gone, and the next
participant cleans up.
"""

import atexit

from framebus import publisher, subscriber

atexit.register(subscriber.close_all)
atexit.register(publisher.close_all)
