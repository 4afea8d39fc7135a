"""
Carry alerts to people: every channel by itself, at least once, again after failures, and over the next channel at last.

A message that was sent and not noted, because the process died between, is sent once more.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from pregao.alerts.messages import Parcel, parcels
from pregao.alerts.ports import MESSAGE_REFUSED, Address, Batch, ChannelError, Outbox, Senders
from pregao.domain.alert import AlertKind, Channel
from pregao.domain.clock import Clock

LOOK_SECONDS = 1.0
SEND_SECONDS_MAX = 15.0  # a channel that takes longer is away
BATCH_MAX = 500  # alerts of one channel and turn; beyond its messages a minute they become one summary
WAITS = (5.0, 15.0, 60.0, 300.0, 900.0)  # seconds between tries: after the sixth it has finally failed
RETRY_SECONDS_MAX = 3_600.0  # a channel that asks for more patience gets this much

Say = Callable[..., None]


class Delivering:
    """The loop of one process at a time; ``follow`` is called again and again."""

    def __init__(
        self,
        outbox: Outbox,
        senders: Senders,
        *,
        new_id: Callable[[datetime], UUID],
        clock: Clock,
        warn: Say,
        waits: Sequence[float] = WAITS,
        send_seconds_max: float = SEND_SECONDS_MAX,
    ) -> None:
        """Send by ``senders`` what ``outbox`` says is due; ``warn`` of what was not taken."""
        self._outbox = outbox
        self._senders = senders
        self._new_id = new_id
        self._clock = clock
        self._warn = warn
        self._waits = waits
        self._send_seconds_max = send_seconds_max
        self._rung = asyncio.Event()

    def rung(self, _words: str = "") -> None:
        """Look at once."""
        self._rung.set()

    async def follow(self) -> None:
        """Deliver what is due; then wait a second, or for a ring."""
        self._rung.clear()
        if await self._outbox.hold():
            await self.deliver()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._rung.wait()

    async def deliver(self) -> None:
        """Deliver what is due now: the channels side by side, so that a slow or broken one keeps no other waiting."""
        batches = await self._outbox.claim(per_channel_max=BATCH_MAX)
        ended = await asyncio.gather(*(self._turn(batch) for batch in batches), return_exceptions=True)
        for failure in ended:
            if isinstance(failure, BaseException):
                raise failure

    async def _turn(self, batch: Batch) -> None:
        channel = batch.channel
        waiting = parcels(batch)
        try:
            address = await self._outbox.find_address(channel.channel_id)
        except ChannelError as error:
            await self._fail_all(channel, waiting, error=error)
            return
        for place, parcel in enumerate(waiting):
            try:
                await self._send(channel, parcel, address=address)
            except ChannelError as error:
                await self._failed(channel, parcel, error=error)
                if error.code == MESSAGE_REFUSED:
                    continue
                if error.is_final:
                    await self._fail_all(channel, waiting[place + 1 :], error=error)
                    return
                # What is away or busy takes no more just now: the rest waits with it, in its order.
                for later in waiting[place + 1 :]:
                    await self._put_off(channel, later, error=error)
                return
            await self._outbox.note_sent(channel, _ids(parcel), message_id=self._new_id(self._clock()))

    async def _send(self, channel: Channel, parcel: Parcel, *, address: Address) -> None:
        sender = self._senders[channel.kind]
        try:
            async with asyncio.timeout(self._send_seconds_max):
                await sender(parcel.message, address=address)
        except TimeoutError:
            raise ChannelError(
                "CHANNEL_AWAY", f"seconds={self._send_seconds_max:g}. No answer came.", is_final=False
            ) from None
        except ChannelError:
            raise
        except Exception as mistake:
            # Whatever it is, it must neither stop the other channels nor be tried for ever.
            raise ChannelError(
                "CHANNEL_AWAY", f"error={type(mistake).__name__}. It could not be sent.", is_final=False
            ) from mistake

    async def _fail_all(self, channel: Channel, waiting: Sequence[Parcel], *, error: ChannelError) -> None:
        for parcel in waiting:
            await self._failed(channel, parcel, error=error)

    async def _failed(self, channel: Channel, parcel: Parcel, *, error: ChannelError) -> None:
        self._warn(
            "alerts.channel.failed",
            channel=channel.name,
            kind=channel.kind,
            code=error.code,
            why=error.message,
        )
        final = [
            one.alert.alert_id
            for one in parcel.deliveries
            if error.is_final or one.attempts >= len(self._waits) or one.alert.kind is AlertKind.TEST
        ]
        again = [one for one in parcel.deliveries if one.alert.alert_id not in final]
        if final:
            await self._outbox.note_failed(channel, final, error=error)
        for attempts in sorted({one.attempts for one in again}):
            await self._outbox.note_later(
                channel,
                [one.alert.alert_id for one in again if one.attempts == attempts],
                error=error,
                seconds=self._wait(error, attempts=attempts),
            )

    async def _put_off(self, channel: Channel, parcel: Parcel, *, error: ChannelError) -> None:
        seconds = self._wait(error, attempts=0)
        await self._outbox.note_put_off(channel, _ids(parcel), seconds=seconds)

    def _wait(self, error: ChannelError, *, attempts: int) -> float:
        return max(self._waits[attempts], min(error.retry_seconds, RETRY_SECONDS_MAX))


def _ids(parcel: Parcel) -> list[UUID]:
    return [one.alert.alert_id for one in parcel.deliveries]
