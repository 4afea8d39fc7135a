"""What queued up during the last commit is the next batch; one bad item fails alone."""

import asyncio

import pytest

from pregao.edges.postgres.group_commit import GroupCommit


class Away(Exception):
    pass


class Disk:
    """Writes batches; the first waits until it is let go, a bad item fails its whole batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.written: list[int] = []
        self.let_go = asyncio.Event()
        self.fails_with: type[Exception] = ValueError

    async def write(self, batch):
        self.batches.append(list(batch))
        await self.let_go.wait()
        if any(item < 0 for item in batch):
            raise self.fails_with(batch)
        self.written += batch
        return [item * 10 for item in batch]


class TestGroupCommit:
    async def test_makes_one_batch_of_what_waits(self):
        disk = Disk()
        group = GroupCommit(disk.write)

        first = group.submit(1)
        await asyncio.sleep(0.01)
        rest = [group.submit(number) for number in range(2, 7)]
        disk.let_go.set()

        assert await asyncio.gather(first, *rest) == [10, 20, 30, 40, 50, 60]
        assert disk.batches == [[1], [2, 3, 4, 5, 6]]

    async def test_answers_only_after_the_commit(self):
        disk = Disk()

        answer = GroupCommit(disk.write).submit(1)
        await asyncio.sleep(0.01)

        assert not answer.done()
        disk.let_go.set()
        assert await answer == 10

    async def test_lets_a_bad_item_fail_alone_and_keeps_the_order(self):
        disk = Disk()
        disk.let_go.set()
        group = GroupCommit(disk.write)

        answers = await asyncio.gather(*(group.submit(n) for n in (1, 2, -3, 4)), return_exceptions=True)

        assert [answers[0], answers[1], type(answers[2]), answers[3]] == [10, 20, ValueError, 40]
        assert disk.written == [1, 2, 4]

    async def test_does_not_try_one_by_one_what_fails_for_all(self):
        """A database that is away is away for every item: 512 more tries would only make them wait."""
        disk = Disk()
        disk.let_go.set()
        disk.fails_with = Away
        group = GroupCommit(disk.write, fails_all=(Away,))

        answers = await asyncio.gather(*(group.submit(n) for n in (1, -2, 3)), return_exceptions=True)

        assert [type(answer) for answer in answers] == [Away] * 3
        assert len(disk.batches) == 1

    async def test_bounds_its_batches(self):
        disk = Disk()
        disk.let_go.set()
        group = GroupCommit(disk.write, batch_items_max=2)

        await asyncio.gather(*(group.submit(number) for number in range(5)))

        assert [len(batch) for batch in disk.batches] == [2, 2, 1]

    async def test_does_not_write_what_its_caller_gave_up(self):
        disk = Disk()
        group = GroupCommit(disk.write)
        first = group.submit(1)
        await asyncio.sleep(0.01)

        group.submit(2).cancel()
        last = group.submit(3)
        disk.let_go.set()
        await asyncio.gather(first, last)

        assert disk.written == [1, 3]

    async def test_goes_on_after_a_failure(self):
        disk = Disk()
        disk.let_go.set()
        group = GroupCommit(disk.write)

        with pytest.raises(ValueError):
            await group.submit(-1)

        assert await group.submit(2) == 20

    async def test_writes_what_is_queued_before_it_closes(self):
        disk = Disk()
        disk.let_go.set()
        group = GroupCommit(disk.write)
        answers = [group.submit(number) for number in range(3)]

        await group.close()

        assert [answer.result() for answer in answers] == [0, 10, 20]
