"""What `--help` teaches, by command, and by command and verb."""

from collections.abc import Mapping
from typing import Final

LESSONS: Final[Mapping[str, str]] = {
    "demo": """\
A chain, a first node, five providers and a requester, each a process of its own, for about
half a minute. One provider refuses, one is killed in the middle of the answer; the account
at the end says who won why, what was paid, and what was at risk. Ctrl-C stops all of them.

  cocoon demo --question "Why is the sky blue?"
  cocoon demo --keep demo-run      homes, logs and receipts stay in demo-run
  cocoon demo --json               the account as one JSON object
""",
    "doctor": """\
  cocoon doctor                    what is missing, and what mends it
  cocoon doctor network            how others reach this node

`network` joins as a guest and asks peers to dial back. Exit code 3: something is
missing; of `network`: others do not reach this node, or nobody said (docs/operators.md).
""",
    "config": """\
  cocoon config --explain          every option: type, bounds, default, meaning
  cocoon config                    what is in force, defaults included
  cocoon config --set provider.slots=2 --set 'network.relays=["auto"]'

Settings are those of --config, else of config.toml in the home (--home, else $COCOON_HOME, else
~/.local/share/cocoon). `cocoon init` writes that file with every option in it, commented out at
its default.
""",
    "assets": """\
Files that Cocoon runs and does not ship, each checked against a pinned SHA-256. They go to
paths.assets (~/.cache/cocoon/assets), once for all homes.

  cocoon assets                    what there is, and what is here
  cocoon assets fetch provider     the weights of every model that can be sold
  cocoon assets fetch demo         the two small models, and the chain emulator
""",
    "init": """\
  cocoon init                      settings, a node key, a wallet
  cocoon init --devnet-wallet      for trials: a wallet without one
  cocoon init --bootstrap /ip4/198.51.100.1/tcp/4001/p2p/12D3KooW...
  cocoon init --model SmolLM2-135M-Instruct --set provider.slots=2

Nothing is ever overwritten: what exists stays as it is. --set takes any option of
`cocoon config --explain`. The 24 words that are shown once are the wallet: write them down.
""",
    "node": """\
A public node that others join through. It needs no money; it prints the address that others
give to --bootstrap. With network.relay and network.rendezvous_point in its settings it carries
bytes for those behind NATs, and holds addresses, within caps (docs/operators.md).

  cocoon node
  cocoon node --listen /ip4/0.0.0.0/tcp/4002
""",
    "provide": """\
Sells what the settings say until Ctrl-C, which lets running jobs end (provider.drain_s); again
stops at once. Prices, limits, slots and whom to serve: table [provider] of the settings.

  cocoon doctor                    is all here? does a GPU work?
  cocoon provide --model SmolLM2-135M-Instruct --model whisper-tiny.en
  cocoon provide --kernels cpu     sell time for strangers' CUDA kernels
  cocoon swarm                     in another terminal: how it goes
  cocoon channels                  what was earned, and what is not claimed yet
docs/selling.md is the guide.
""",
    "devnet": """\
The real virtual machine and the real contract with play money: no account, no network.

  cocoon devnet                    runs one until Ctrl-C, and forgets it
  cocoon devnet --state chain.bin  keeps it over restarts
  cocoon devnet info               of the one that runs: blocks, time
  cocoon devnet warp 3600          an hour passes at once
  cocoon devnet snapshot           then: cocoon devnet restore 1

Whoever reaches its port can print its money: it listens on 127.0.0.1 unless --host says otherwise.
""",
    "peers": """\
Needs a node that runs on this home (cocoon node, cocoon provide); --json has everything.
""",
    "swarm": """\
Needs a node that runs on this home (cocoon node, cocoon provide).

  cocoon swarm                     live, until Ctrl-C
  cocoon swarm --once              one picture; with --json for scripts
Metrics for Prometheus: observe.metrics_listen (docs/metrics.md).
""",
    "ask": """\
Finds providers, compares their signed quotes, opens a payment channel where there is none, and
pays chunk by chunk while the answer streams. The text goes to stdout, everything else to stderr.
Ctrl-C stops the provider's device and pays for what came.

  cocoon ask "List three fruits."
  cocoon ask - --tokens 64 < question.txt
  cocoon ask "Why?" --spend-max 0.001    who could cost more is not asked
  cocoon ask "Why?" --json         one object: text, price, receipts
  cocoon explain                   why each provider won or lost
""",
    "transcribe": """\
  cocoon transcribe note.ogg
  cocoon transcribe talk.mp3 --spend-max 0.01 > talk.txt
""",
    "quotes": """\
  cocoon quotes                    live, until Ctrl-C
  cocoon quotes --once --model SmolLM2-135M-Instruct

Prices are for 1000 units, in coins. The last column says what is wrong with a quote: it is not
bought. Buys nothing itself.
""",
    "explain": """\
  cocoon explain                   the last job
  cocoon explain 4f2a91c07d33b8e6  that job, as `cocoon ask` named it

Read from jobs/ of the home: the price, the speed, the reliability by our own receipts, and the
one reason why each provider won or lost.
""",
    "receipts": """\
  cocoon receipts                  where ours are
  cocoon receipts verify           check all of them: no network is needed
  cocoon receipts verify one.receipt  check what somebody has sent

Exit code 8: one of them does not verify.
""",
    "wallet": """\
a first try, with play money
  cocoon devnet                    in another terminal
  cocoon wallet create --devnet-wallet
  cocoon wallet faucet 5
  cocoon wallet show
""",
    "channels": """\
A channel holds a deposit for one payee. We pay with vouchers: signed running totals that
only that payee can cash, each one replacing the one before. What no voucher grants is ours
and comes back, with the payee's help at once, or without it after the challenge period.

Jobs open and fill channels by themselves; by hand, without any swarm, two people do this:
  payee    cocoon channels payee                     prints cocoon-payee-...
  payer    cocoon channels open 0.5 --to cocoon-payee-...
  payer    cocoon channels pay CHANNEL 0.1           prints cocoon-voucher-...
  payee    cocoon channels accept cocoon-voucher-...
  payee    cocoon channels claim                     the money is theirs
  payer    cocoon channels ask-close CHANNEL         prints cocoon-close-...
  payee    cocoon channels release cocoon-close-...  prints cocoon-release-...
  payer    cocoon channels close --release cocoon-release-...
  payer    cocoon channels exit CHANNEL              when the payee is dead
""",
    "channels open": """\
The wallet attaches the amount and about 0.035 more for fees and a year of the contract's
rent; all that is not spent comes back at the end. Interrupted, the watcher of the next
command goes on with it; nothing is paid twice. The limits are requester.channel_coins_max
and requester.peer_coins_max.
""",
    "channels pay": """\
The voucher is on our disk before it is printed. It cannot be taken back.
""",
    "channels close": """\
Asks the provider, through the swarm, to agree to the total that we have signed; it gets
that, we get the rest at once. With --release: by a text that the payee sent. A payee that
does not answer: cocoon channels exit
""",
    "channels exit": """\
Starts the challenge period (requester.challenge_s of when the channel was opened), in which
the payee may still cash its newest voucher. After it, the same command again, or any
purchase, brings the rest back. Says when that is.
""",
    "channels recover": """\
For who has lost the journals: looks through the wallet's transactions for channels whose
keys come from this wallet. They can be left (cocoon channels exit), not paid on.
""",
    "channels accept": """\
Checks the signature, and on the chain that the channel is ours and covers it; then the
voucher is on our disk.
""",
    "channels claim": """\
A running provider claims by itself when a channel owes provider.claim_coins, and in time
when a payer leaves. The fee of a claim is taken from what it pays.
""",
    "channels release": """\
After this we take no more vouchers of that channel: the payer can close it at this total.
""",
    "channels restore": """\
A backup does not know what was signed after it. So restored channels are for leaving and
claiming only, and this command says in nanotons what may be lost at most. It never
overwrites a journal.
""",
    "api": """\
  cocoon api --spend-max 0.5

It joins the swarm once, keeps channels open, and answers /v1/chat/completions (also streamed),
/v1/audio/transcriptions and /v1/models. A client needs two settings, which it prints: the base URL,
and the key that is made in the file api.key of the home. For instance:

  curl $BASE_URL/chat/completions \\
    -H "Authorization: Bearer $(cat HOME/api.key)" \\
    -d '{"model": "SmolLM2-135M-Instruct",
         "messages": [{"role": "user", "content": "Hello"}]}'

A client that hangs up cancels its job. Deposits and fees of channels are not counted as spent:
a deposit comes back (cocoon channels).
""",
    "kernel": """\
A manifest names the code (CUDA C++ or PTX), its arguments with types and shapes, grid and
block, and limits. The code is compiled without a view of this machine's files and run in a
confined process, on a GPU where there is one, else on the CPU (slower: for trying things out).

  cocoon kernel run examples/kernels/saxpy
  cocoon kernel submit examples/kernels/saxpy --dry-run
  cocoon kernel submit examples/kernels/saxpy --ms 50 --out results

docs/customer-kernels.md has the rules.
""",
    "kernel submit": """\
Code and arrays are sealed to the provider, which runs them confined and can read them (tier
OPEN). It is paid while it works, by the millisecond that its class defines: of a GPU by its
clock, of a CPU by instructions; never more than --ms. The result comes back as .npy files, with
a receipt. A kernel that is refused costs nothing; one that fails costs what it used. If the
provider dies, the kernel begins anew at another.
""",
    "channels list": "Reads the journals only, also while a node runs.",
    "channels top-up": "Comes back like the deposit, if not spent.",
    "wallet import": "The words are asked for on a terminal, or read from standard input.",
    "wallet send": "Waits until the chain has it. A crash pays once.",
}
