# SPDX-License-Identifier: Apache-2.0
"""Programs that are killed or stopped at any moment: the other one notices it, receives only whole frames, goes on."""

from __future__ import annotations

from framebus.testing import specimen
from framebus.testing.conformance.pair import Base, Facts, Pair

MUCH = 100_000  # frames: more than are sent before a program is killed


class Dying(Base):
    """Tests of what happens when a program does not behave."""

    def test_a_sender_killed_while_sending_leaves_whole_frames_and_is_noticed(self, pair: Pair) -> None:
        dtype, shape = self.bulky(pair)
        if pair.able.stored:
            pair.start_sink().begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape], report_every=10)
            pair.sink.expect("progress")
            pair.sink.expect("progress")
            pair.sink.kill()
            self.check_what_a_killed_sender_has_stored(pair)
            return
        pair.start().source.begin_collect(timeout=3.0 if pair.able.notices_death else 1.5, report_every=10)
        pair.sink.begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape], timeout=None)
        for _ in range(3):
            pair.source.expect("progress")
        pair.sink.kill()
        report = pair.source.answer()
        check_order(report)
        if pair.every:
            assert report["numbers"] == [*range(specimen.FIRST, specimen.FIRST + len(report["numbers"]))]
        assert report["ended"]["error"] in signs_of_death(pair), report["ended"]

    def check_what_a_killed_sender_has_stored(self, pair: Pair) -> None:
        """It can be read as far as it goes, or is refused as a whole; nothing hangs."""
        source = pair.start_source(wait=False)
        opened = source.expect("answer")
        if "error" in opened:
            assert "Error" in opened["kinds"], opened
            return
        report = source.collect(timeout=3.0)
        check_order(report)
        assert {"ChannelClosed", "EndpointError", "PublisherDied"} & set(report["ended"]["kinds"]), report["ended"]

    def test_a_receiver_killed_while_receiving_does_not_hang_the_sender(self, pair: Pair) -> None:
        if pair.able.stored:
            return  # no program receives while it is sent
        lasting = pair.able.receivers == "many" or pair.able.reconnects
        dtype, shape, enough = self.filling(pair)
        pair.start().source.begin_collect(report_every=5)
        pair.sink.begin_flood(
            specimen.FIRST,
            enough if lasting else MUCH,
            dtype=dtype,
            shapes=[shape],
            timeout=1.0 if lasting else None,
        )
        pair.source.expect("progress")
        pair.source.kill()
        self.check_without_a_receiver(pair, pair.sink.answer()["ended"])

    def test_a_sender_that_stands_still_is_waited_for(self, pair: Pair) -> None:
        if pair.able.stored:
            return  # it is read when the sender is done
        _, dtype, shape, _ = self.standard(pair)[0]
        count = 150
        pair.start().source.begin_collect(5)
        pair.sink.begin_flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], pause=0.01)
        before = pair.source.answer()
        pair.sink.freeze()
        during = pair.source.collect(timeout=0.5)
        assert during["ended"]["error"] == "Timeout", during["ended"]
        pair.sink.resume()
        pair.source.begin_collect(timeout=pair.silence_s)
        pair.sink.answer()
        pair.sink.close()
        after = pair.source.answer()
        numbers = before["numbers"] + during["numbers"] + after["numbers"]
        check_order({"numbers": numbers, "not_whole": during["not_whole"] + after["not_whole"]})
        assert after["numbers"]
        if pair.every:
            assert len(numbers) == count

    def test_a_new_sender_is_received_where_either_end_may_come_again(self, pair: Pair) -> None:
        if not pair.able.reconnects:
            return  # what then is said of the death is tested above
        _, dtype, shape, _ = self.standard(pair)[0]
        pair.start().source.begin_collect(2)
        pair.sink.begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape], pause=0.01)
        pair.source.answer()
        pair.sink.kill()
        pair.start_sink()
        self.check_new_ones_arrive(pair)

    def test_a_new_receiver_is_served_where_either_end_may_come_again(self, pair: Pair) -> None:
        if not pair.able.reconnects:
            return  # what then is said to the sender is tested above
        _, dtype, shape, _ = self.standard(pair)[0]
        pair.start().source.begin_collect(2)
        pair.sink.begin_flood(specimen.FIRST, 100, dtype=dtype, shapes=[shape], pause=0.01, timeout=1.0)
        pair.source.answer()
        pair.source.kill()
        pair.sink.answer()
        pair.start_source()
        self.check_new_ones_arrive(pair)

    def check_new_ones_arrive(self, pair: Pair) -> None:
        """Frames of a second flood arrive, those of the first may come before them."""
        first, wanted = specimen.FIRST + 2 * MUCH, 5
        _, dtype, shape, _ = self.standard(pair)[0]
        pair.sink.begin_flood(first, 200, dtype=dtype, shapes=[shape], pause=0.01, timeout=30.0)
        numbers: list[int] = []
        while sum(number >= first for number in numbers) < wanted:
            report = pair.source.collect(1, timeout=10.0)
            check_order(report)
            numbers += report["numbers"]
            assert report["ended"] is None or report["ended"]["error"] == "PublisherDied", report["ended"]
        assert numbers == sorted(set(numbers)), "frames out of order, or twice"
        pair.sink.kill()  # the rest of them is of no interest


def signs_of_death(pair: Pair) -> set[str]:
    """What a receiver may say when the sender was killed: where another may come, it may also go on waiting."""
    if not pair.able.notices_death:
        return {"Timeout"}
    return {"Timeout", "PublisherDied"} if pair.able.reconnects else {"PublisherDied"}


def check_order(report: Facts) -> None:
    """Checks what is true of any frames that were received from one sender after the other."""
    assert report["not_whole"] == [], "frames whose bytes are not those that were sent"
    assert report["numbers"] == sorted(set(report["numbers"])), "frames out of order, or twice"
