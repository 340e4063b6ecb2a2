# SPDX-License-Identifier: Apache-2.0
"""How a wait or a link ends: timeouts, a full mechanism, close on either side, Ctrl-C."""

from __future__ import annotations

import signal

import pytest

from framebus.testing import specimen
from framebus.testing.conformance.pair import Base, Facts, Pair, check_numbers
from framebus.testing.peers import Receiver, Sender
from framebus.testing.process import Refused

STORED_FRAMES = 2000  # that take longer to read than a signal takes
MUCH = 100_000  # more than are written before one
INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT)


class Ending(Base):
    """Tests of how streams end when all programs behave."""

    def test_recv_raises_timeout_when_nothing_comes(self, pair: Pair) -> None:
        if pair.able.stored:
            return self.check_the_end_of_what_is_stored(pair)
        source = pair.start().source
        for timeout in (0, 0.05):
            with pytest.raises(Refused) as refused:
                source.recv(timeout)
            assert refused.value.error == "Timeout"
            assert "TimeoutError" in refused.value.kinds
        self.check_goes_on(pair)
        return None

    def check_the_end_of_what_is_stored(self, pair: Pair) -> None:
        """What is stored has an end, and no wait for more."""
        pair.store(1, self.standard(pair))
        source = pair.start_source()
        source.recv(0)
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                source.recv(5.0)
            assert refused.value.error == "ChannelClosed"

    def test_a_negative_timeout_is_refused_at_either_end(self, pair: Pair) -> None:
        sink = pair.start_sink() if pair.able.stored else pair.start().sink
        with pytest.raises(Refused) as refused:
            sink.send(specimen.FIRST, self.standard(pair), timeout=-0.5)
        assert refused.value.error == "ValueError"
        if pair.able.stored:
            sink.send(specimen.FIRST, self.standard(pair))
            sink.close()
            pair.start_source()
        with pytest.raises(Refused) as refused:
            pair.source.recv(-1)
        assert refused.value.error == "ValueError"
        if pair.able.stored:
            assert pair.source.recv(0)["number"] == specimen.FIRST
        else:
            self.check_goes_on(pair)

    def test_a_receiver_that_stands_still_blocks_nobody_for_longer_than_the_timeout(self, pair: Pair) -> None:
        if pair.able.stored:
            return  # no sender waits for a receiver
        pair.start().source.freeze()
        dtype, shape, count = self.filling(pair)
        report = pair.sink.flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], timeout=0.5)
        pair.source.resume()
        if pair.every:
            self.check_every_frame_before_the_timeout(pair, report)
        else:
            assert report["ended"] is None, f"a stopped receiver has stopped the sender: {report['ended']}"
            check_numbers(pair, pair.source.collect(timeout=1.0), range(specimen.FIRST, specimen.FIRST + count))

    def check_every_frame_before_the_timeout(self, pair: Pair, report: Facts) -> None:
        """A full mechanism that may lose nothing says Timeout, and what it took arrives."""
        assert report["ended"] is not None, f"it took {len(report['sent'])} unread frames, and more"
        assert "Timeout" in report["ended"]["kinds"], report["ended"]
        pair.source.begin_collect(timeout=3.0)
        last = report["sent"][-1] if report["sent"] else specimen.FIRST - 1
        _, dtype, shape, _ = self.standard(pair)[0]
        after = pair.sink.flood(last + 2, 5, dtype=dtype, shapes=[shape], timeout=30.0)
        pair.sink.close()
        found = pair.source.answer()
        if after["ended"] is not None:
            # It stopped within a frame and can't go on; then it says so, at once and always.
            assert {"EndpointError", "ChannelClosed"} & set(after["ended"]["kinds"]), after["ended"]
        # The frame that ran into the timeout may have gone out, whole.
        sent = [*report["sent"], *([last + 1] if last + 1 in found["numbers"] else []), *after["sent"]]
        check_numbers(pair, found, sent)

    def check_goes_on(self, pair: Pair) -> None:
        """One more frame arrives."""
        _, dtype, shape, _ = self.standard(pair)[0]
        pair.source.begin_collect(1, timeout=30.0)
        sent = pair.sink.flood(specimen.FIRST + 500, 1 if pair.every else 20, dtype=dtype, shapes=[shape], pause=0.01)
        assert pair.source.answer()["numbers"][0] in sent["sent"]

    def test_iteration_ends_when_the_sender_closes(self, pair: Pair) -> None:
        if not pair.able.notices_close:
            return  # it does not end; that recv() then says Timeout is tested with the order of frames
        count = 5
        _, dtype, shape, _ = self.standard(pair)[0]
        if pair.able.stored:
            pair.store(count, self.standard(pair))
            assert pair.start_source().ask("iterate") == count
            return
        pair.start().source.tell("iterate")
        pair.sink.flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], pause=0.01)
        pair.sink.close()
        found = pair.source.answer()
        assert found == count if pair.every else found <= count

    def test_sending_to_a_closed_receiver_says_so_and_never_hangs(self, pair: Pair) -> None:
        if pair.able.stored:
            return  # no program listens while it is sent
        pair.start().source.close()
        dtype, shape, count = self.filling(pair)
        may_find_no_room = pair.able.receivers == "many" or pair.able.reconnects
        timeout = 0.5 if may_find_no_room else 10.0
        ended = pair.sink.flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], timeout=timeout)["ended"]
        self.check_without_a_receiver(pair, ended)

    def test_either_end_can_be_closed_twice_and_not_used_after(self, pair: Pair) -> None:
        if pair.able.stored:
            pair.store(1, self.standard(pair))
            self.check_closed_sink(pair, pair.sink)
            self.check_closed_source(pair.start_source())
            return
        pair.start()
        self.check_closed_source(pair.source)
        self.check_closed_sink(pair, pair.sink)

    def check_closed_source(self, source: Receiver) -> None:
        """A closed source stays closed."""
        source.close()
        source.close()
        for timeout in (0, None):
            with pytest.raises(Refused) as refused:
                source.recv(timeout)
            assert refused.value.error == "ChannelClosed"
        source.statistics()

    def check_closed_sink(self, pair: Pair, sink: Sender) -> None:
        """A closed sink stays closed."""
        sink.close()
        sink.close()
        with pytest.raises(Refused) as refused:
            sink.send(specimen.FIRST, self.standard(pair))
        assert refused.value.error == "ChannelClosed"
        sink.statistics()

    def test_ctrl_c_ends_recv(self, pair: Pair) -> None:
        if pair.able.stored:
            return self.check_ctrl_c_while_reading(pair)
        source = pair.start().source
        while source.heard("waiting"):
            source.expect("waiting")
        source.tell("recv", timeout=None)
        source.expect("waiting")
        source.interrupt()
        assert source.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in source.errors()
        return None

    def check_ctrl_c_while_reading(self, pair: Pair) -> None:
        """What is stored is never waited for, but there may be much of it."""
        pair.store(STORED_FRAMES, self.standard(pair))
        source = pair.start_source()
        source.begin_collect()
        source.expect("progress")
        source.interrupt()
        assert source.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in source.errors()
        assert not source.heard("answer"), f"it had received all {STORED_FRAMES} frames before it was interrupted"

    def test_ctrl_c_ends_a_send_that_waits(self, pair: Pair) -> None:
        if pair.able.stored:
            return self.check_ctrl_c_while_writing(pair)
        if not pair.every:
            return None  # it never waits, as the test of a stopped receiver shows
        sink = pair.start().sink
        pair.source.freeze()
        while sink.heard("waiting"):
            sink.expect("waiting")
        dtype, shape, count = self.filling(pair)
        sink.begin_flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], timeout=None)
        sink.expect("waiting")
        sink.interrupt()
        pair.source.resume()
        assert sink.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in sink.errors()
        return None

    def check_ctrl_c_while_writing(self, pair: Pair) -> None:
        """What was written until then is there, whole, and has an end."""
        _, dtype, shape, _ = self.standard(pair)[0]
        sink = pair.start_sink()
        sink.begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape])
        sink.expect("progress")
        sink.expect("progress")
        sink.interrupt()
        assert sink.wait() in INTERRUPTED
        assert "KeyboardInterrupt" in sink.errors()
        report = pair.start_source().collect()
        assert report["ended"]["error"] == "ChannelClosed", report["ended"]
        assert len(report["numbers"]) >= 100, "frames that were sent before are missing"
        check_numbers(pair, report, range(specimen.FIRST, specimen.FIRST + len(report["numbers"])))
