"""What the virtual lab does about subscribers that do not keep up."""

import asyncio

from aibench_lib.virtual_lab.gnmi.outbox import Outbox


async def fill(outbox, parts=64):
    for number in range(parts):
        await outbox.put([str(number).encode()])


def test_a_subscriber_gets_all_parts_in_order():
    async def talk():
        outbox = Outbox()
        filling = asyncio.create_task(fill(outbox, 200))
        taken = [await outbox.take() for _ in range(200)]
        await filling
        return taken

    assert asyncio.run(talk()) == [[str(number).encode()] for number in range(200)]


def test_a_trial_waits_for_a_slow_subscriber():
    async def talk():
        outbox = Outbox()
        await fill(outbox)
        waiting = asyncio.create_task(outbox.put([b"more"]))
        await asyncio.sleep(0)
        assert not waiting.done()
        await outbox.take()
        await waiting

    asyncio.run(talk())


def test_a_subscriber_that_takes_nothing_is_given_up():
    async def talk():
        outbox = Outbox(patience_seconds=0.01)
        await fill(outbox)
        await outbox.put([b"more"])
        await outbox.put([b"not waited for"])
        return await outbox.take()

    assert asyncio.run(talk()) is None


def test_a_change_of_state_does_not_wait():
    async def talk():
        outbox = Outbox()
        await fill(outbox)
        outbox.put_now([b"more"])
        return await outbox.take()

    assert asyncio.run(talk()) is None


def test_a_subscriber_that_has_gone_releases_the_trial():
    async def talk():
        outbox = Outbox()
        await fill(outbox)
        waiting = asyncio.create_task(outbox.put([b"more"]))
        await asyncio.sleep(0)
        outbox.close()
        await waiting

    asyncio.run(talk())
