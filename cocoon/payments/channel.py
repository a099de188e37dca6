"""Both sides of a payment channel, without any I/O.

`Payer.step` and `Payee.step` are pure: a state and an event in, a new state and the
effects to carry out out, in order. The services write the *event* to the journal
before they carry out the first effect, so the state is the replay of the journal
and a crash between any two lines loses nothing that left the machine. A `Refuse`
never comes with a change of state, except that a closing payee keeps a voucher.

Whatever a peer or the chain can say is an event; no event raises. Signatures are
checked before an event is made of them.
"""

from cocoon.payments.payee_core import (
    ChannelSeen,
    Claim,
    CloseRequested,
    GrantWork,
    Opening,
    Payee,
    PayeeEffect,
    PayeeEvent,
    Settled,
    SignRelease,
    VoucherReceived,
    WitnessSeen,
)
from cocoon.payments.payer_core import (
    ENDED,
    LOCKS_OPEN_MAX,
    RESTORED,
    ROUTED,
    AskRelease,
    CloseStarted,
    Gone,
    JobEnded,
    JobStarted,
    Lapsed,
    LockExpired,
    LockFolded,
    LockRequested,
    Opened,
    Payer,
    PayerEffect,
    PayerEvent,
    Phase,
    Refuse,
    ReleaseAsked,
    ReleaseReceived,
    Seen,
    SendClose,
    SendFinish,
    SendStartClose,
    SignLocked,
    SignRequested,
    SignVoucher,
)

__all__ = [
    "ENDED",
    "LOCKS_OPEN_MAX",
    "RESTORED",
    "ROUTED",
    "AskRelease",
    "ChannelSeen",
    "Claim",
    "CloseRequested",
    "CloseStarted",
    "Gone",
    "GrantWork",
    "JobEnded",
    "JobStarted",
    "Lapsed",
    "LockExpired",
    "LockFolded",
    "LockRequested",
    "Opened",
    "Opening",
    "Payee",
    "PayeeEffect",
    "PayeeEvent",
    "Payer",
    "PayerEffect",
    "PayerEvent",
    "Phase",
    "Refuse",
    "ReleaseAsked",
    "ReleaseReceived",
    "Seen",
    "SendClose",
    "SendFinish",
    "SendStartClose",
    "Settled",
    "SignLocked",
    "SignRelease",
    "SignRequested",
    "SignVoucher",
    "VoucherReceived",
    "WitnessSeen",
]
