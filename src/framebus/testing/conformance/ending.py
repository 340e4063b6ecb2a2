# SPDX-License-Identifier: Apache-2.0
"""How a wait or a link ends: timeouts, a full mechanism, close at either end, Ctrl-C."""

from __future__ import annotations

import signal

import pytest

from framebus.testing import specimen
from framebus.testing.conformance.ends import Base, Ends, Facts, check_numbers
from framebus.testing.peers import Receiver, Sender
from framebus.testing.process import Refused

STORED_FRAMES = 2000  # that take longer to read than a signal takes
MUCH = 100_000  # more than are written before one
INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT)


class Ending(Base):
    """Tests of how things end when everybody behaves."""

    def test_recv_raises_timeout_when_nothing_comes(self, ends: Ends) -> None:
        if ends.able.stored:
            return self.check_the_end_of_what_is_stored(ends)
        source = ends.start().source
        for timeout in (0, 0.05):
            with pytest.raises(Refused) as refused:
                source.recv(timeout)
            assert refused.value.error == "Timeout"
            assert "TimeoutError" in refused.value.kinds
        self.check_goes_on(ends)
        return None

    def check_the_end_of_what_is_stored(self, ends: Ends) -> None:
        """What is stored has an end, and no wait for more."""
        ends.store(1, self.standard(ends))
        source = ends.start_source()
        source.recv(0)
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                source.recv(5.0)
            assert refused.value.error == "ChannelClosed"

    def test_a_negative_timeout_is_refused_at_either_end(self, ends: Ends) -> None:
        sink = ends.start_sink() if ends.able.stored else ends.start().sink
        with pytest.raises(Refused) as refused:
            sink.send(specimen.FIRST, self.standard(ends), timeout=-0.5)
        assert refused.value.error == "ValueError"
        if ends.able.stored:
            sink.send(specimen.FIRST, self.standard(ends))
            sink.close()
            ends.start_source()
        with pytest.raises(Refused) as refused:
            ends.source.recv(-1)
        assert refused.value.error == "ValueError"
        if ends.able.stored:
            assert ends.source.recv(0)["number"] == specimen.FIRST
        else:
            self.check_goes_on(ends)

    def test_a_receiver_that_stands_still_blocks_nobody_for_longer_than_the_timeout(self, ends: Ends) -> None:
        if ends.able.stored:
            return  # nobody waits for a receiver
        ends.start().source.freeze()
        dtype, shape, count = self.filling(ends)
        report = ends.sink.flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], timeout=0.5)
        ends.source.resume()
        if ends.every:
            self.check_every_frame_before_the_timeout(ends, report)
        else:
            assert report["ended"] is None, f"a receiver that stands still stopped the sender: {report['ended']}"
            check_numbers(ends, ends.source.collect(timeout=1.0), range(specimen.FIRST, specimen.FIRST + count))

    def check_every_frame_before_the_timeout(self, ends: Ends, report: Facts) -> None:
        """A full mechanism that may lose nothing says Timeout, and what it took arrives."""
        assert report["ended"] is not None, f"it took {len(report['sent'])} frames that nobody read, and more"
        assert "Timeout" in report["ended"]["kinds"], report["ended"]
        ends.source.begin_collect(timeout=3.0)
        last = report["sent"][-1] if report["sent"] else specimen.FIRST - 1
        _, dtype, shape, _ = self.standard(ends)[0]
        after = ends.sink.flood(last + 2, 5, dtype=dtype, shapes=[shape], timeout=30.0)
        ends.sink.close()
        found = ends.source.answer()
        if after["ended"] is not None:
            # It stopped within a frame and can't go on; then it says so, at once and for good.
            assert {"EndpointError", "ChannelClosed"} & set(after["ended"]["kinds"]), after["ended"]
        # The frame that ran into the timeout may have gone out, whole.
        sent = [*report["sent"], *([last + 1] if last + 1 in found["numbers"] else []), *after["sent"]]
        check_numbers(ends, found, sent)

    def check_goes_on(self, ends: Ends) -> None:
        """One more frame arrives."""
        _, dtype, shape, _ = self.standard(ends)[0]
        ends.source.begin_collect(1, timeout=30.0)
        sent = ends.sink.flood(specimen.FIRST + 500, 1 if ends.every else 20, dtype=dtype, shapes=[shape], pause=0.01)
        assert ends.source.answer()["numbers"][0] in sent["sent"]

    def test_iteration_ends_when_the_sender_closes(self, ends: Ends) -> None:
        if not ends.able.notices_close:
            return  # it does not end; that recv() then says Timeout is tested with the order of frames
        count = 5
        _, dtype, shape, _ = self.standard(ends)[0]
        if ends.able.stored:
            ends.store(count, self.standard(ends))
            assert ends.start_source().ask("iterate") == count
            return
        ends.start().source.tell("iterate")
        ends.sink.flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], pause=0.01)
        ends.sink.close()
        found = ends.source.answer()
        assert found == count if ends.every else found <= count

    def test_sending_to_a_closed_receiver_says_so_and_never_hangs(self, ends: Ends) -> None:
        if ends.able.stored:
            return  # nobody listens while it is sent
        ends.start().source.close()
        dtype, shape, count = self.filling(ends)
        may_find_no_room = ends.able.receivers == "many" or ends.able.reconnects
        timeout = 0.5 if may_find_no_room else 10.0
        ended = ends.sink.flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], timeout=timeout)["ended"]
        self.check_without_a_receiver(ends, ended)

    def test_either_end_can_be_closed_twice_and_not_used_after(self, ends: Ends) -> None:
        if ends.able.stored:
            ends.store(1, self.standard(ends))
            self.check_closed_sink(ends, ends.sink)
            self.check_closed_source(ends.start_source())
            return
        ends.start()
        self.check_closed_source(ends.source)
        self.check_closed_sink(ends, ends.sink)

    def check_closed_source(self, source: Receiver) -> None:
        """A closed source stays closed."""
        source.close()
        source.close()
        for timeout in (0, None):
            with pytest.raises(Refused) as refused:
                source.recv(timeout)
            assert refused.value.error == "ChannelClosed"
        source.statistics()

    def check_closed_sink(self, ends: Ends, sink: Sender) -> None:
        """A closed sink stays closed."""
        sink.close()
        sink.close()
        with pytest.raises(Refused) as refused:
            sink.send(specimen.FIRST, self.standard(ends))
        assert refused.value.error == "ChannelClosed"
        sink.statistics()

    def test_ctrl_c_ends_recv(self, ends: Ends) -> None:
        if ends.able.stored:
            return self.check_ctrl_c_while_reading(ends)
        source = ends.start().source
        while source.heard("waiting"):
            source.expect("waiting")
        source.tell("recv", timeout=None)
        source.expect("waiting")
        source.interrupt()
        assert source.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in source.errors()
        return None

    def check_ctrl_c_while_reading(self, ends: Ends) -> None:
        """What is stored is never waited for, but there may be much of it."""
        ends.store(STORED_FRAMES, self.standard(ends))
        source = ends.start_source()
        source.begin_collect()
        source.expect("progress")
        source.interrupt()
        assert source.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in source.errors()
        assert not source.heard("answer"), f"it had received all {STORED_FRAMES} frames before it was interrupted"

    def test_ctrl_c_ends_a_send_that_waits(self, ends: Ends) -> None:
        if ends.able.stored:
            return self.check_ctrl_c_while_writing(ends)
        if not ends.every:
            return None  # it never waits, as the test of a receiver that stands still shows
        sink = ends.start().sink
        ends.source.freeze()
        while sink.heard("waiting"):
            sink.expect("waiting")
        dtype, shape, count = self.filling(ends)
        sink.begin_flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], timeout=None)
        sink.expect("waiting")
        sink.interrupt()
        ends.source.resume()
        assert sink.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in sink.errors()
        return None

    def check_ctrl_c_while_writing(self, ends: Ends) -> None:
        """What was written until then is there, whole, and has an end."""
        _, dtype, shape, _ = self.standard(ends)[0]
        sink = ends.start_sink()
        sink.begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape])
        sink.expect("progress")
        sink.expect("progress")
        sink.interrupt()
        assert sink.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in sink.errors()
        report = ends.start_source().collect()
        assert report["ended"]["error"] == "ChannelClosed", report["ended"]
        assert len(report["numbers"]) >= 100, "frames that were sent before are missing"
        check_numbers(ends, report, range(specimen.FIRST, specimen.FIRST + len(report["numbers"])))
