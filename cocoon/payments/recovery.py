"""Finding a payer's channels again from nothing but the wallet's seed and the chain.

The wallet's own transactions name every account that it ever paid. A channel says on
chain who gets its rest, and with which salt its key was derived, so the key is derived
again and compared. What was signed on the channel is not on the chain: a channel that
was found is for leaving, not for paying on.
"""

from cocoon.payments.channel import Payer, Phase
from cocoon.payments.keys import channel_seed
from cocoon.payments.onchain import read_ledger
from cocoon.payments.ownership import public_key
from cocoon.payments.payer_book import Channel
from contracts.chain import Chain
from contracts.channel import ChannelState
from contracts.channel_client import read_channel
from contracts.errors import InvalidData
from contracts.units import NanoTon


async def find_channels(chain: Chain, wallet_address: str, secret: bytes) -> list[Channel]:
    """Return the live channels that *wallet_address* opened, with keys derived from *secret*.

    Args:
        chain: where to look; it must still know the wallet's old transactions.
        wallet_address: raw form.
        secret: see `cocoon.payments.keys.channel_secret`.

    Raises:
        ChainUnavailable: the chain could not be asked.
    """
    ledger = await read_ledger(chain, wallet_address)
    paid = {message.destination for record in ledger for message in record.out_messages}
    found = []
    for address in sorted(paid - {wallet_address}):
        try:
            seen = await read_channel(chain, address)
        except InvalidData:
            continue  # not a channel: the wallet pays other accounts too
        if seen is not None and seen.opened_lt and seen.params.payer_address == wallet_address:
            found += _ours(seen, secret)
    return found


def _ours(seen: ChannelState, secret: bytes) -> list[Channel]:
    params = seen.params
    seed = channel_seed(secret, params.payee_address, params.salt)
    if public_key(seed) != params.payer_key:
        return []
    state = Payer(
        phase=Phase.CLOSING if seen.close_at_unix_s else Phase.OPEN,
        opened_lt=seen.opened_lt,
        total_max=seen.voucher_total_max_nanoton,
        paid_total=seen.paid_nanoton,
        signed_total=seen.paid_nanoton,
        previous_total=seen.paid_nanoton,
        close_at_unix_s=seen.close_at_unix_s,
        restored=True,
    )
    deposit = NanoTon(state.total_max)
    return [Channel(address=seen.address, params=params, seed=seed, deposit=deposit, state=state)]
