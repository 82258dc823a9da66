# SPDX-License-Identifier: GPL-2.0-or-later
"""The system that the end-to-end tests and the soak call through: vma, vmb, dom0, a policy."""

import subprocess

from harness import *
from system import Qube, System

POLICY = """
test.Ok         *  vma  vmb       allow
test.Ok         *  vma  @adminvm  allow
test.Ok         *  vma  vma       allow
test.Ok         *  vmb  @default  allow target=vma
test.Sum        *  vma  vmb       allow
test.Source     *  vma  vmb       allow
test.Cat        *  @anyvm @anyvm  allow
test.Cat        *  vma  @adminvm  allow
test.Hold       *  vma  vmb       allow
test.Exit       *  @anyvm @anyvm  allow
test.Name       *  vma  vmb       allow
test.Line       *  vma  vmb       allow
test.Socket     *  vma  vmb       allow
test.Tcp        *  vma  vmb       allow
test.Missing    *  vma  vmb       allow
test.Refused    *  @anyvm @anyvm  deny
*               *  @anyvm @anyvm  deny notify=no
"""
BULK = int(os.environ.get("SKERRY_BULK_MIB", "1024")) << 20


def start(t, transport, policy=POLICY, **more):
    """Two qubes and dom0 that run; the logs are checked for sanitizer reports when it stops."""
    sut = System(t.path("s"), BUILD, [Qube("vma", 1), Qube("vmb", 2)], policy,
                 transport=transport, **more)
    for qube in ("vma", "vmb", None):
        sut.service(qube, "test.Ok", f"#!/bin/sh\necho ok from {qube or 'dom0'}\n")
        sut.service(qube, "test.Cat", "#!/bin/sh\nexec cat\n")
        sut.service(qube, "test.Exit", "#!/bin/sh\necho complaint >&2\nexit $1\n")
    sut.service("vmb", "test.Name", "#!/bin/sh\necho ${#1}\n")
    sut.service("vmb", "test.Line", "#!/bin/sh\nhead -n 1\n")
    sut.service("vmb", "test.Sum", "#!/bin/sh\nsha256sum | cut -c1-64\n")
    sut.service("vmb", "test.Source", f"#!/bin/sh\nhead -c {BULK} /dev/zero\n")
    sut.service("vmb", "test.Hold", "#!/bin/sh\necho started\ncat >/dev/null\n")
    t.system = sut.start()
    return sut


def done(t):
    """Everything ends, and no program had a report to make."""
    t.system.stop()
    for path in glob.glob(t.system.path("var/log/qubes/*")):
        with open(path, "rb") as file:
            text = file.read()
        check(not SANITIZER_REPORT.search(text), text.decode(errors="replace"))


def popen_call(sut, qube, *words, **more):
    """A call that goes on: Popen with pipes."""
    return sut.popen(sut.client_vm(qube, *words), qube=qube, stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
