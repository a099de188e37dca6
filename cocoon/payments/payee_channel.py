"""A channel, or a route, as it pays for one running job."""

from types import TracebackType
from typing import Protocol, Self

from cocoon.errors import PaymentError
from cocoon.messages import VoucherMessage
from cocoon.payments.channel import Payee
from cocoon.payments.payee_book import Held
from contracts.locks import KeyLock, KeyPayment, Lock
from contracts.units import NanoTon
from contracts.voucher import ChannelRef


class Keeper(Protocol):
    """What a channel needs of the service that it belongs to."""

    def state_of(self, held: Held) -> Payee:
        """Return the present state."""
        ...

    async def receive(self, held: Held, ref: ChannelRef, voucher: VoucherMessage) -> None:
        """Take a voucher."""
        ...

    async def stay_in_sight(self, held: Held) -> None:
        """See to it that the chain has told lately whether the payer is leaving."""
        ...

    async def open_lock(self, address: str, lock: Lock, payment: KeyPayment) -> NanoTon:
        """Take a payment of a lock's key."""
        ...

    def let_go(self, channel: "PayeeChannel") -> None:
        """The job is over."""
        ...


class PayeeChannel:
    """A channel that pays for one running job; use it as a context manager, or call `done`.

    Attributes:
        address: of the contract, raw form.
        payer_key: who signs its vouchers.
        base_total: the total before this job: what the first voucher adds to.
    """

    def __init__(self, service: Keeper, held: Held, ref: ChannelRef, base_total: NanoTon) -> None:
        self._service = service
        self._held = held
        self._ref = ref
        self.address = held.address
        self.payer_key = held.payer_key
        self.base_total = base_total

    @property
    def name(self) -> str:
        """What is in use while the job runs: the channel, or the route."""
        return self.address

    @property
    def best_total(self) -> NanoTon:
        """The newest voucher's total, and at least `base_total`."""
        return max(self.base_total, self._service.state_of(self._held).best_total)

    @property
    def spendable_left(self) -> NanoTon:
        """What vouchers can still grant."""
        return NanoTon(self._service.state_of(self._held).total_max - self.best_total)

    async def receive(self, voucher: VoucherMessage) -> None:
        """Take a voucher; it is on the disk when this returns. The same one again is fine.

        Raises:
            PeerMisbehaved: the signature is not the payer's for this channel, or the
                total does not grow.
            PaymentError: above the deposit, the channel is closing or released, or the
                chain has not said for too long that it is not. The voucher of a closing
                or unseen channel is kept all the same: it pays for work done.
        """
        await self._service.receive(self._held, self._ref, voucher)

    def done(self) -> None:
        """The job is over: another one may use the channel. Idempotent."""
        self._service.let_go(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.done()


class RouteTill(PayeeChannel):
    """A route that pays for one running job: totals are those of its key's payments."""

    def __init__(self, service: Keeper, held: Held, lock: KeyLock, base_total: NanoTon) -> None:
        ref = ChannelRef(0, held.address, held.state.opened_lt)  # nothing is signed over it here
        super().__init__(service, held, ref, base_total)
        self._lock = lock
        self.payer_key = lock.key

    @property
    def name(self) -> str:
        """The route's key."""
        return self._lock.key.hex()

    @property
    def best_total(self) -> NanoTon:
        """The newest payment, and at least `base_total`."""
        state = self._service.state_of(self._held)
        return max(self.base_total, state.worth_of(self._lock))

    @property
    def spendable_left(self) -> NanoTon:
        """What the route can still carry."""
        return NanoTon(self._lock.amount_nanoton - self.best_total)

    async def receive(self, voucher: VoucherMessage) -> None:
        """Take a payment of the route's key; see `PayeeChannel.receive`."""
        amount = NanoTon(voucher.total_nanoton)
        if amount > self._lock.amount_nanoton:
            raise PaymentError(f"{amount} is more than the route carries")
        if amount == self.best_total:
            return
        payment = KeyPayment(amount, voucher.signature)
        await self._service.open_lock(self.address, self._lock, payment)
        await self._service.stay_in_sight(self._held)
