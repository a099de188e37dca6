"""Takes from this process what strangers' code has no use for: files, sockets, other programs.

For child processes that compile or run a customer's kernel. Landlock closes the file system,
seccomp leaves only the system calls of pure computing, resource limits bound the rest. Needs no
privileges and cannot be undone. Linux only: elsewhere, and on kernels without them, `confine`
says so and the caller decides.

Sources: Linux documentation, "Landlock: unprivileged access control" and "Seccomp BPF".
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass
from typing import Final

from kernels.custom.errors import SandboxUnavailable

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_PDEATHSIG = 38, 22, 1
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
"""The same on every architecture."""
_LANDLOCK_VERSION_FLAG = 1
_FILE_RIGHTS_BY_ABI: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_ABI_WITH_DEVICES = 5
_ABI_WITH_NETWORK = 4
_ABI_WITH_SCOPES = 6
_NETWORK_RIGHTS, _SCOPES = 3, 3

_ALLOW, _ERRNO_EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE = 0, 4

# What computing needs: memory, clocks, locks, and the pipes that are open already. Not among
# them: opening a file, making a socket or a process, changing a limit or another process.
_X86_64: Final = (
    0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 20, 24, 25, 28, 35, 39, 60, 72, 96, 98, 131,
    186, 202, 228, 230, 231, 234, 262, 273, 318, 334,
)  # fmt: skip
_AARCH64: Final = (
    25, 57, 62, 63, 64, 66, 67, 79, 80, 93, 94, 98, 99, 101, 113, 115, 124, 131, 132, 134, 135,
    139, 165, 169, 172, 178, 214, 215, 216, 222, 226, 233, 278, 293,
)  # fmt: skip
_CALLS: Final = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
"""Audit number of the architecture, and the numbers of: read write close fstat lseek mmap
mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 writev sched_yield mremap
madvise nanosleep getpid exit fcntl gettimeofday getrusage sigaltstack gettid futex clock_gettime
clock_nanosleep exit_group tgkill newfstatat set_robust_list getrandom rseq."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds this process now.

    Attributes:
        landlock_abi: version of Landlock that closes the file system; 0: it is open.
        seccomp: whether system calls are filtered.
    """

    landlock_abi: int
    seccomp: bool

    @property
    def whole(self) -> bool:
        """Whether both are in force."""
        return self.landlock_abi > 0 and self.seccomp


def limit_resources(*, memory_bytes: int, cpu_s: int) -> None:
    """Bound address space and processor time; no files, no core dumps; die with the parent."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    die_with_parent()


def die_with_parent() -> None:
    """End when the parent ends, and leave no core dump: its memory is a customer's."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def landlock_abi() -> int:
    """Return the kernel's version of Landlock; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    found: int = _libc().syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG)
    return max(0, found)


def can_confine() -> str:
    """Return "" where `confine` closes everything here, else what is missing, in words."""
    if sys.platform != "linux":
        return f"{sys.platform} has no Landlock and no seccomp"
    if platform.machine() not in _CALLS:
        return f"the system calls of {platform.machine()} are not known here"
    if not landlock_abi():
        return "this kernel has no Landlock (Linux 5.13 or newer, with lsm=landlock)"
    return ""


def confine() -> Confinement:
    """Close files, network and processes to this process, for ever.

    Everything that is needed later must be open and loaded already.

    Raises:
        SandboxUnavailable: a part that this kernel has refuses to work.
    """
    if sys.platform != "linux":
        return Confinement(0, seccomp=False)
    libc = _libc()
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    abi = landlock_abi()
    if abi:
        _close_files(libc, abi)
    known = platform.machine() in _CALLS
    if known:
        _filter_calls(libc)
    return Confinement(abi, seccomp=known)


def _close_files(libc: ctypes.CDLL, abi: int) -> None:
    """Handle every right that this version knows, and grant none."""
    files = _FILE_RIGHTS_BY_ABI[min(abi, 3)] | ((1 << 15) if abi >= _ABI_WITH_DEVICES else 0)
    fields = [files]
    if abi >= _ABI_WITH_NETWORK:
        fields.append(_NETWORK_RIGHTS)
    if abi >= _ABI_WITH_SCOPES:
        fields.append(_SCOPES)
    attributes = struct.pack(f"<{len(fields)}Q", *fields)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    _check(ruleset, "Landlock")
    _check(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def _filter_calls(libc: ctypes.CDLL) -> None:
    """Allow the calls of computing, answer EPERM to all others."""
    architecture, allowed = _CALLS[platform.machine()]
    program = [
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # the numbers mean something else there
        (_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    for number in allowed:
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _ERRNO_EPERM))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    header = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code))
    _check(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0), "seccomp")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise SandboxUnavailable(f"{what}: {os.strerror(ctypes.get_errno())}")
