# SPDX-License-Identifier: GPL-2.0-or-later
"""Every system call of keeper and slice fails once, in turn, during a start and a call between qubes.

Whichever it is: no crash, no hang; either all goes on, or the call is refused, or the connection of the
agent ends, or the daemon ends with a status of its own; and after it a daemon starts and serves there.
SKERRY_FAULTS: seconds for each half (default 30); what was not reached by then is said."""

import collections
import contextlib
import re
import select
import shutil
import signal
import socket
import struct
import time

from daemon_common import *

SECONDS = float(os.environ.get("SKERRY_FAULTS", "30"))
IDENT = b"SOCKET42".ljust(32, b"\0")
# What each can really fail with. Memory and descriptors run out, peers go, disks fill.
ERRORS = {
    "socket": "EMFILE", "socketpair": "EMFILE", "accept4": "EMFILE", "connect": "ECONNREFUSED",
    "bind": "ENOSPC", "listen": "EINVAL", "epoll_create1": "EMFILE", "epoll_ctl": "ENOMEM",
    "epoll_wait": "EINTR", "clone": "EAGAIN", "fork": "EAGAIN", "recvfrom": "ECONNRESET",
    "recvmsg": "ENOMEM", "sendto": "EPIPE", "sendmsg": "ENOBUFS", "unlink": "EACCES",
    "symlink": "ENOSPC", "chmod": "EPERM", "fchmod": "EPERM", "pidfd_open": "EMFILE",
    "signalfd4": "EMFILE", "fcntl": "EINVAL", "dup2": "EMFILE", "execve": "ENOMEM", "wait4": "ECHILD",
    "ioctl": "EINVAL", "fstat": "EIO", "timerfd_create": "EMFILE", "close_range": "EINVAL",
    "prctl": "EINVAL", "setrlimit": "EPERM", "chdir": "EACCES",
}
# Linux has nothing to allocate for these, and the loop holds it for a bug if they fail.
NEVER_FAILS = re.compile(rb"EPOLL_CTL_(MOD|DEL).*INJECTED")
QUIET = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99"}     # leaks cannot be looked for under a tracer


def strace(*words):
    path = shutil.which("strace")
    if not path:
        raise Skip("no strace here")
    return [path, "-qq", *words]


def place(t):
    """A folder where the slice is run by what parts/slice-run says, and the keeper by keeper-run."""
    real = os.path.dirname(program("skerry-qrexec"))
    os.makedirs(t.path("parts"))
    shutil.copy(os.path.join(real, "skerry-qrexec"), t.path("parts/skerry-qrexec"))
    os.symlink(os.path.join(real, "skerry-qrexec-runner"), t.path("parts/skerry-qrexec-runner"))
    wrap_slice(t, [])
    return os.path.join(real, "skerry-qrexec-slice")


def wrap_slice(t, words):
    real = os.path.join(os.path.dirname(program("skerry-qrexec")), "skerry-qrexec-slice")
    t.file("parts/skerry-qrexec-slice", "#!/bin/sh\nexport ASAN_OPTIONS=" + QUIET["ASAN_OPTIONS"] +
           "\nexec " + " ".join(words + [real]) + "\n", 0o755)


class Run:
    """One daemon with one call: outcome says how it went."""

    def __init__(self, t, words):
        self.t = t
        self.server = t.vchan_server(42, 0, CONTROL)
        argv = words + [t.path("parts/skerry-qrexec"), "--direct", "--socket-dir=" + t.dir,
                        "--uuid=" + UUID, "42", "v"]
        self.program = t.start(*argv, env={**QUIET, "QREXEC_STARTUP_TIMEOUT": "20"})
        self.outcome = self.play()
        self.server.close()

    def over(self):
        return not self.program.running()

    def wait_for_data(self, *things):
        """The first of these that has something, or None when the daemon has ended."""
        end = time.monotonic() + HANG
        while time.monotonic() < end:
            ready = select.select(things, [], [], 0.02)[0]
            if ready:
                return ready[0]
            if self.over():
                return None
        raise Failure("hang")

    def agent_greets(self):
        if not self.wait_for_data(self.server):
            return None
        agent = self.t.own(self.server.accept())
        try:
            agent.hello_first()
        except (Failure, OSError):
            return None
        return agent

    def play(self):
        agent = self.agent_greets()
        if not agent:
            return "no agent"
        target = self.t.listen(self.t.path("qrexec.t"))
        try:
            return self.call(agent, target)
        except (ConnectionError, BrokenPipeError):
            return "agent cut"
        finally:
            agent.close()
            target.close()

    def call(self, agent, target):
        agent.send_message(TRIGGER_SERVICE4, pack_trigger4("svc", "t", "SOCKET42"))
        first = self.wait_for_data(agent, target)
        if first is target:
            channel = self.t.own(Channel(target.sock.accept()[0]))
            channel.send_message(HELLO, pack_hello(3))
            if not self.wait_for_data(channel, agent):
                return "ended"
            channel.send_message(EXEC_CMDLINE, pack_exec(43, 514))
            first = self.wait_for_data(agent)
            channel.close()
        if first is not agent:
            return "ended"
        data = agent.sock.recv(8)
        if len(data) < 8:
            return "agent cut"
        kind, length = struct.unpack("<II", data)
        body = agent.recv(length)
        check((kind, body) in ((SERVICE_CONNECT, struct.pack("<II", 43, 514) + IDENT),
                               (SERVICE_REFUSED, IDENT)), f"answer {kind:#x} {short(body)}")
        if kind == SERVICE_REFUSED:
            return "refused"
        agent.send_message(CONNECTION_TERMINATED, pack_exec(43, 514))
        client = connect_once(self.t.path("qrexec.42"))
        if not client:
            return "no local socket"
        self.t.own(client)
        client.send(pack_message(HELLO, pack_hello(3)) + pack_message(JUST_EXEC, pack_exec(0, 0, "u:x")))
        if self.wait_for_data(client) and client.sock.recv(12) and self.wait_for_data(agent, client):
            return "served"
        return "local client refused"

    def stop(self):
        """SIGTERM to the daemon itself, not to its tracer; its status, as the tracer passes it on."""
        for pid in [self.program.pid] + descendants(self.program.pid):
            if name_of(pid) == "skerry-qrexec":  # its starter leaves that signal to it
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        return self.program.wait(output=False)


def connect_once(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(HANG)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    return Channel(sock)


def counted(text):
    """Uses of each call in a trace, without those of the sanitizer's runtime before main."""
    lines = [re.sub(r"^\d+ +", "", line) for line in text.splitlines()]
    return collections.Counter(m[1] for m in map(re.compile(r"(\w+)\(").match, lines) if m)


def campaign(t, kind):
    TextPolicy(t, lambda text: ALLOW.format(target="t"))
    place(t)
    log = t.path("trace")
    words = strace("-o", log, "-e", "trace=" + ",".join("?" + name for name in ERRORS))
    wrap_slice(t, words if kind == "slice" else [])
    run = Run(t, words if kind == "keeper" else [])
    equal(run.outcome, "served", "without a fault")
    equal(run.stop(), 0)
    uses = counted(t.read("trace").decode())
    check(uses, "nothing was traced")
    uses["prctl"] = min(uses["prctl"], 4)  # most of them drop the capabilities one by one
    outcomes, missed = collections.Counter(), 0
    end = time.monotonic() + SECONDS
    for turn in range(1, max(uses.values()) + 1):
        for name in sorted(uses):
            if turn > uses[name]:
                continue
            if time.monotonic() > end:
                missed += 1
                continue
            inject = strace("-o", log, "-e", "trace=?" + name, "-e",
                            f"inject={name}:error={ERRORS[name]}:when={turn}")
            wrap_slice(t, inject if kind == "slice" else [])
            what = f"{kind}: {name} number {turn} fails with {ERRORS[name]}"
            try:
                run = Run(t, inject if kind == "keeper" else [])
                status = run.stop()
                if NEVER_FAILS.search(t.read("trace")):
                    continue
                # strace makes a call fail by giving it the number -1, and that the filter of a confined
                # daemon ends. What the fault itself does the sanitizer build shows.
                check(status in (0, 1, 3, 125, 128 + signal.SIGSYS), f"ended with {status}")
                wrap_slice(t, [])
                again = Run(t, [])
                equal((again.outcome, again.stop()), ("served", 0), "the next daemon")
            except Failure as error:
                raise Failure(f"{what}: {error}") from None
            outcomes[run.outcome] += 1
    print(f"# {kind}: {sum(outcomes.values())} faults: {dict(outcomes)}; not reached: {missed}")
    check(outcomes["served"] and len(outcomes) > 1, f"faults have effects: {outcomes}")


# If this failed, an agent that starts while its daemon connects would get a connection that ends at once.
@case("daemon the listener is replaced while the daemon connects: the new one gets one good connection")
def _(t):
    path = t.vchan_path(42, 0, CONTROL)
    socket.socket(socket.AF_UNIX).bind(path)    # as an agent that was killed leaves it
    argv = strace("-o", "/dev/null", "-e", "trace=connect", "-e", "inject=connect:delay_enter=700000:when=1")
    daemon = t.start(*argv, program("skerry-qrexec"), "--direct", "--socket-dir=" + t.dir, "--uuid=" + UUID, "42",
                     "v", env={**QUIET, "QREXEC_STARTUP_TIMEOUT": "20"})

    def looked():
        found = []
        for link in glob.glob("/proc/[0-9]*/fd/*"):
            try:
                found.append(os.readlink(link))
            except OSError:
                pass
        return path in found or held()

    def held():
        """Where the daemon hides its descriptors: strace holds it, in the one call that is delayed."""
        keeper = next((pid for pid in descendants(daemon.pid) if name_of(pid) == "skerry-qrexec"), None)
        for _ in range(20):
            try:
                with open(f"/proc/{keeper}/stat", "rb") as file:
                    if file.read().rsplit(b")", 1)[1].split()[0] != b"t":
                        return False
            except OSError:
                return False
            time.sleep(0.005)
        return True
    wait_for(looked, "the daemon has chosen its listener")
    os.unlink(path)
    agent = t.own(t.vchan_server(42, 0, CONTROL).accept())
    agent.send_message(HELLO, pack_hello(4))
    equal(agent.recv_hello(), 4)
    wait_for(lambda: os.path.exists(t.path("qrexec.42")), "the daemon serves")
    check(daemon.running(), "the daemon runs")


# If this failed, dom0 short of memory or descriptors would lose a qube's daemon or hang its calls.
@case("faults each system call of the keeper fails once")
def _(t):
    campaign(t, "keeper")


@case("faults each system call of the slice fails once")
def _(t):
    campaign(t, "slice")


if __name__ == "__main__":
    main()
