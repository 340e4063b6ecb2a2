# SPDX-License-Identifier: Apache-2.0
"""Programs that are killed or stand still at any moment: the other one is told, receives only whole frames, goes on."""

from __future__ import annotations

from framebus.testing import specimen
from framebus.testing.conformance.ends import Base, Ends, Facts

MUCH = 100_000  # frames: more than are sent before somebody is killed


class Dying(Base):
    """Tests of what happens when somebody does not behave."""

    def test_a_sender_killed_while_sending_leaves_whole_frames_and_is_noticed(self, ends: Ends) -> None:
        dtype, shape = self.bulky(ends)
        if ends.able.stored:
            ends.start_sink().begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape], report_every=10)
            ends.sink.expect("progress")
            ends.sink.expect("progress")
            ends.sink.kill()
            self.check_what_a_killed_sender_has_stored(ends)
            return
        ends.start().source.begin_collect(timeout=3.0 if ends.able.notices_death else 1.5, report_every=10)
        ends.sink.begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape], timeout=None)
        for _ in range(3):
            ends.source.expect("progress")
        ends.sink.kill()
        report = ends.source.answer()
        check_order(report)
        if ends.every:
            assert report["numbers"] == [*range(specimen.FIRST, specimen.FIRST + len(report["numbers"]))]
        assert report["ended"]["error"] in signs_of_death(ends), report["ended"]

    def check_what_a_killed_sender_has_stored(self, ends: Ends) -> None:
        """It can be read as far as it goes, or is refused as a whole; nothing hangs."""
        source = ends.start_source(wait=False)
        opened = source.expect("answer")
        if "error" in opened:
            assert "Error" in opened["kinds"], opened
            return
        report = source.collect(timeout=3.0)
        check_order(report)
        assert {"ChannelClosed", "EndpointError", "PublisherDied"} & set(report["ended"]["kinds"]), report["ended"]

    def test_a_receiver_killed_while_receiving_does_not_hang_the_sender(self, ends: Ends) -> None:
        if ends.able.stored:
            return  # nobody receives while it is sent
        lasting = ends.able.receivers == "many" or ends.able.reconnects
        dtype, shape, enough = self.filling(ends)
        ends.start().source.begin_collect(report_every=5)
        ends.sink.begin_flood(
            specimen.FIRST,
            enough if lasting else MUCH,
            dtype=dtype,
            shapes=[shape],
            timeout=1.0 if lasting else None,
        )
        ends.source.expect("progress")
        ends.source.kill()
        self.check_without_a_receiver(ends, ends.sink.answer()["ended"])

    def test_a_sender_that_stands_still_is_waited_for(self, ends: Ends) -> None:
        if ends.able.stored:
            return  # it is read when the sender is done
        _, dtype, shape, _ = self.standard(ends)[0]
        count = 150
        ends.start().source.begin_collect(5)
        ends.sink.begin_flood(specimen.FIRST, count, dtype=dtype, shapes=[shape], pause=0.01)
        before = ends.source.answer()
        ends.sink.freeze()
        during = ends.source.collect(timeout=0.5)
        assert during["ended"]["error"] == "Timeout", during["ended"]
        ends.sink.resume()
        ends.source.begin_collect(timeout=ends.silence_s)
        ends.sink.answer()
        ends.sink.close()
        after = ends.source.answer()
        numbers = before["numbers"] + during["numbers"] + after["numbers"]
        check_order({"numbers": numbers, "not_whole": during["not_whole"] + after["not_whole"]})
        assert after["numbers"]
        if ends.every:
            assert len(numbers) == count

    def test_a_new_sender_is_received_where_either_end_may_come_again(self, ends: Ends) -> None:
        if not ends.able.reconnects:
            return  # what then is said of the death is tested above
        _, dtype, shape, _ = self.standard(ends)[0]
        ends.start().source.begin_collect(2)
        ends.sink.begin_flood(specimen.FIRST, MUCH, dtype=dtype, shapes=[shape], pause=0.01)
        ends.source.answer()
        ends.sink.kill()
        ends.start_sink()
        self.check_new_ones_arrive(ends)

    def test_a_new_receiver_is_served_where_either_end_may_come_again(self, ends: Ends) -> None:
        if not ends.able.reconnects:
            return  # what then is said to the sender is tested above
        _, dtype, shape, _ = self.standard(ends)[0]
        ends.start().source.begin_collect(2)
        ends.sink.begin_flood(specimen.FIRST, 100, dtype=dtype, shapes=[shape], pause=0.01, timeout=1.0)
        ends.source.answer()
        ends.source.kill()
        ends.sink.answer()
        ends.start_source()
        self.check_new_ones_arrive(ends)

    def check_new_ones_arrive(self, ends: Ends) -> None:
        """Frames of a second flood arrive, those of the first may come before them."""
        first, wanted = specimen.FIRST + 2 * MUCH, 5
        _, dtype, shape, _ = self.standard(ends)[0]
        ends.sink.begin_flood(first, 200, dtype=dtype, shapes=[shape], pause=0.01, timeout=30.0)
        numbers: list[int] = []
        while sum(number >= first for number in numbers) < wanted:
            report = ends.source.collect(1, timeout=10.0)
            check_order(report)
            numbers += report["numbers"]
            assert report["ended"] is None or report["ended"]["error"] == "PublisherDied", report["ended"]
        assert numbers == sorted(set(numbers)), "frames out of order, or twice"
        ends.sink.kill()  # the rest of them is of no interest


def signs_of_death(ends: Ends) -> set[str]:
    """What a receiver may say when the sender was killed: where another may come, it may also go on waiting."""
    if not ends.able.notices_death:
        return {"Timeout"}
    return {"Timeout", "PublisherDied"} if ends.able.reconnects else {"PublisherDied"}


def check_order(report: Facts) -> None:
    """Checks what is true of any frames that were received from one sender after the other."""
    assert report["not_whole"] == [], "frames whose bytes are not those that were sent"
    assert report["numbers"] == sorted(set(report["numbers"])), "frames out of order, or twice"
