"""What `--help` teaches, command by command."""

from typing import Final

WALLET_LESSON: Final = """\
a first try, with play money
  cocoon devnet                         in another terminal
  cocoon wallet create --devnet-wallet
  cocoon wallet faucet 5
  cocoon wallet show
"""

CHANNELS_LESSON: Final = """\
A channel holds a deposit for one payee. We pay with vouchers: signed running totals that
only that payee can cash, each one replacing the one before. What no voucher grants is ours
and comes back, with the payee's help at once, or without it after the challenge period.

Jobs open and fill channels by themselves; by hand, without any swarm, two people do this:
  payee    cocoon channels payee                   prints cocoon-payee-...
  payer    cocoon channels open 0.5 --to cocoon-payee-...
  payer    cocoon channels pay CHANNEL 0.1         prints cocoon-voucher-...
  payee    cocoon channels accept cocoon-voucher-...
  payee    cocoon channels claim                   the money is in the payee's wallet
  payer    cocoon channels ask-close CHANNEL       prints cocoon-close-...
  payee    cocoon channels release cocoon-close-...        prints cocoon-release-...
  payer    cocoon channels close --release cocoon-release-...
  payer    cocoon channels exit CHANNEL            instead, when the payee is dead
"""

OPEN_LESSON: Final = """\
The wallet attaches the amount and about 0.035 more for fees and a year of the contract's
rent; all that is not spent comes back at the end. Interrupted, the watcher of the next
command goes on with it; nothing is paid twice. The limits are requester.channel_coins_max
and requester.peer_coins_max.
"""

PAY_LESSON: Final = """\
The voucher is on our disk before it is printed. It cannot be taken back.
"""

CLOSE_LESSON: Final = """\
Asks the provider, through the swarm, to agree to the total that we have signed; it gets
that, we get the rest at once. With --release: by a text that the payee sent. A payee that
does not answer: cocoon channels exit
"""

EXIT_LESSON: Final = """\
Starts the challenge period (requester.challenge_s of when the channel was opened), in which
the payee may still cash its newest voucher. After it, the same command again, or any
purchase, brings the rest back. Says when that is.
"""

RECOVER_LESSON: Final = """\
For who has lost the journals: looks through the wallet's transactions for channels whose
keys come from this wallet. They can be left (cocoon channels exit), not paid on.
"""

ACCEPT_LESSON: Final = """\
Checks the signature, and on the chain that the channel is ours and covers it; then the
voucher is on our disk.
"""

CLAIM_LESSON: Final = """\
A running provider claims by itself when a channel owes provider.claim_coins, and in time
when a payer leaves. The fee of a claim is taken from what it pays.
"""

RELEASE_LESSON: Final = """\
After this we take no more vouchers of that channel: the payer can close it at this total.
"""

RESTORE_LESSON: Final = """\
A backup does not know what was signed after it. So restored channels are for leaving and
claiming only, and this command says in nanotons what may be lost at most. It never
overwrites a journal.
"""

API_LESSON: Final = """\
It joins the swarm once, keeps channels open, and answers /v1/chat/completions (also streamed),
/v1/audio/transcriptions and /v1/models. A client needs two settings, which it prints: the base URL,
and the key that is made in the file api.key of the home. For instance:

  curl $BASE_URL/chat/completions -H "Authorization: Bearer $(cat HOME/api.key)" \\
    -d '{"model": "SmolLM2-135M-Instruct", "messages": [{"role": "user", "content": "Hello"}]}'

A client that hangs up cancels its job. Deposits and fees of channels are not counted as spent:
a deposit comes back (cocoon channels).
"""

KERNEL_LESSON: Final = """\
A manifest names the code (CUDA C++ or PTX), its arguments with types and shapes, grid and block,
and limits. Try: cocoon kernel run examples/kernels/saxpy

The code is compiled without a view of this machine's files and run in a confined process, on a GPU
where there is one, else on the CPU (slower: for trying things out). To have a provider run it:
cocoon kernel submit examples/kernels/saxpy --dry-run, then without --dry-run.
docs/customer-kernels.md has the rules.
"""

SUBMIT_LESSON: Final = """\
Code and arrays are sealed to the provider, which runs them confined and can read them (tier
OPEN). It is paid while it works, by the millisecond that its class defines: of a GPU by its
clock, of a CPU by instructions; never more than --ms. The result comes back as .npy files, with
a receipt. A kernel that is refused costs nothing; one that fails costs what it used. If the
provider dies, the kernel begins anew at another.
"""
