# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls of the running policy service fail, each in turn, in each of its processes.

If this fails, a machine in trouble makes the service crash, allow what the policy refuses, or serve
without its confinement.
"""

import os
import re
import select
import shutil

import harness
from harness import *
from policy_common import *

# What the processes do at their start, while they load, and for a question.
CALLS = """openat read mmap socketpair socket connect epoll_create1 epoll_ctl inotify_init1 inotify_add_watch recvmsg
sendmsg accept4 recvfrom sendto signalfd4 pidfd_open fcntl flock newfstatat""".split()
# Without these there is no confinement: nobody may be served then.
CONFINING = ("seccomp,prctl", "prctl", "capset", "prlimit64")
PATIENCE = 1.0  # seconds for an answer that need not come


def skip_if_not_here():
    if not shutil.which("strace"):
        raise Skip("no strace")
    with open(harness.program("skerry-policy"), "rb") as f:
        if b"__asan_init" in f.read():
            raise Skip("the sanitizers do not run under strace")


class Traced(Service):
    """A service with system calls that fail as strace is told."""

    def __init__(self, t, inject):
        start, tracer = t.start, shutil.which("strace")
        real = harness.program("skerry-policy")

        def traced(name, *args, **more):
            return start(tracer, "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + inject.split(":")[0],
                         "-e", "inject=" + inject, real, *args, **more)

        t.start = traced
        super().__init__(t, "a.Allow * * * allow\na.Deny * * * deny notify=no\n")

    def replies(self):
        """To a question that is refused and to one that is allowed; b"" where none came."""
        socks = []
        for service in ("a.Deny", "a.Allow"):
            sock = self.t.own(socket.socket(socket.AF_UNIX))
            try:
                sock.connect(self.path("run/qubes/policy.sock"))
                sock.sendall(raw("source=work\nintended_target=vault\nservice_and_arg=%s\n\n" % service))
            except OSError:
                pass
            socks.append(sock)
        got = []
        for sock in socks:
            ready = select.select([sock], [], [], PATIENCE)[0]
            try:
                got.append(sock.recv(1000) if ready else b"")
            except OSError:
                got.append(b"")
        return got


def add(title, inject, check):
    @case(title)
    def _(t):
        skip_if_not_here()
        s = Traced(t, inject)
        check(s)
        for pid in reversed(descendants(s.program.pid)):
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                pass  # a helper that its own call ended, after we had looked
        s.program.wait()
        # No crash. strace makes the call one of number -1, for which the filter of a confined process ends
        # it with signal 31: that is the worst that may come of it. 15 is ours, just above.
        equal(set(re.findall(rb"ended by signal (\d+)", s.program.stderr)) - {b"31", b"15"}, set())


def check_refusal(s):
    refused, _ = s.replies()
    equal(b"allow" in refused, False)


def check_silence(s):
    equal(s.replies(), [b"", b""])


for _name in CALLS:
    for _number in (1, 2, 4):
        add("policy faults: %s fails as the call number %d" % (_name, _number),
            "%s:error=ENOMEM:when=%d" % (_name, _number), check_refusal)
for _name in CONFINING:
    add("policy faults: nobody is served without confinement by %s" % _name, "%s:error=EPERM" % _name, check_silence)

if __name__ == "__main__":
    main()
