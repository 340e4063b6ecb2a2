# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: what every source and every sink promises, checked between real processes.

To apply it to an endpoint of yours, define link(), which names a fresh pair of source and sink:

    from pathlib import Path
    from framebus.testing import conformance

    class TestSpool(conformance.Suite):
        def link(self, tmp_path: Path) -> conformance.Link:
            return conformance.Link(source=f"spool:{tmp_path}", sink=f"spool:{tmp_path}")

The demands follow from the Capabilities that the endpoint declares. A limit that it declares is checked too: what
it says it can't carry must be refused with EndpointError, and be left out, the rest arriving whole, with ?lossy. Where
an option of the URLs changes a capability, say so in Link(changes=...). A mechanism with two modes gets two classes.

A class may also say
    carries()           which images it takes, if the endpoint does not declare Capabilities.accepts, or takes fewer,
    garbage()           how a foreign sender's bytes get in,
    messages()          valid bytes of the mechanism, from which garbage is made,
    resynchronises      whether the next frame can be found after garbage,
    pixel_format        what the mechanism derives from the standard image, where Capabilities.pixel_format is "some".

Every source and sink runs in an interpreter of its own, is killed by kill -9, stopped by SIGSTOP and interrupted by
SIGINT. Times are watchdogs against hangs; nothing is judged by how long it takes.
"""

try:
    import pytest
except ModuleNotFoundError as error:
    if error.name != "pytest":
        raise
    raise ModuleNotFoundError(
        'framebus.testing.conformance needs pytest, which is not installed; run: pip install "framebus[testing]"',
        name="pytest",
    ) from None

for _part in ("pair", "carrying", "ending", "dying", "foreign"):
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

from framebus.testing.conformance.pair import Link as Link  # noqa: E402
from framebus.testing.conformance.suite import Suite as Suite  # noqa: E402
