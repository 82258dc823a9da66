# SPDX-License-Identifier: GPL-2.0-or-later
"""skerryd over the fake ground: its table of qubes and its answers, whatever the ground does."""
import os

import monitor_wire as w
from harness import case, check, equal, main, wait_for
from monitor_system import SYSTEM, System, TOOLSTACK

WITHOUT = ("--ground=fake", "--without=skerry-qubesdb", "--without=skerry-policy")


def begin(t):
    s = System(t, real=False)
    equal(s.start(*WITHOUT), [])
    return s


# If this failed, the admin service would believe in qubes that are not, or miss some that are.
@case("fake states follow what the ground did")
def _(t):
    s = begin(t)
    made = s.create("work")
    equal(made.kind, w.CREATED)
    d = made.domid
    equal(s.peer.ask(w.SHUTDOWN, domid=d).error, w.E_STATE, "of a qube that never ran")
    equal(s.peer.ask(w.UNPAUSE, domid=d).kind, w.DONE)
    equal(s.peer.event(w.QUBE, d).state, w.RUNNING)
    equal(s.peer.ask(w.PAUSE, domid=d).kind, w.DONE)
    equal(s.peer.event(w.QUBE, d).state, w.PAUSED)
    equal(s.peer.ask(w.UNPAUSE, domid=d).kind, w.DONE)
    equal(s.peer.ask(w.STATS).kind, w.DONE)
    row = s.peer.event(w.STAT, d)
    equal((row.memory, row.cpu_ns), (409600, 2000000))
    equal(s.peer.ask(w.SHUTDOWN, domid=d).kind, w.DONE)
    equal(s.peer.event(w.STOPPED, d).cause, w.OFF)
    equal(s.peer.ask(w.PAUSE, domid=d).error, w.E_STATE)
    s.stop()


# If this failed, a request that the ground refuses would be taken as done, or change the state.
@case("fake a refused request changes nothing, a crash is told once")
def _(t):
    s = begin(t)
    failed = s.create("bad", cmdline="fail=create")
    equal((failed.kind, failed.error), (w.FAILED, w.E_GROUND))
    check("as it was told" in failed.text, failed.text)
    d = s.create("bad", cmdline="fail=pause fail=shutdown crash=network").domid
    equal(s.peer.ask(w.UNPAUSE, domid=d).kind, w.DONE)
    for kind in (w.PAUSE, w.SHUTDOWN):
        equal(s.peer.ask(kind, domid=d).error, w.E_GROUND)
    equal(s.peer.ask(w.UNPAUSE, domid=d).kind, w.DONE, "still running")
    equal(s.peer.ask(w.NETWORK, domid=d, netvm=0, ip=0).kind, w.DONE)
    equal(s.peer.event(w.STOPPED, d).cause, w.CRASH)
    equal(s.peer.ask(w.DESTROY, domid=d).error, w.E_STATE)
    check(not any(m.kind == w.STOPPED for m in s.peer.seen), "a second end")
    s.stop()


# If this failed, the death of the toolstack would leave requests without an answer for ever.
@case("fake the toolstack ends in the middle of a request: it fails, the next toolstack works")
def _(t):
    s = begin(t)
    keep = s.create("other").domid
    for request, ask in (("create", None), ("pause", w.PAUSE), ("destroy", w.DESTROY)):
        old = s.pid(SYSTEM, TOOLSTACK)
        if ask is None:
            failed = s.create("fatal", cmdline="exit=create")
        else:
            made = wait_for(lambda: (lambda m: m if m.kind == w.CREATED else None)(s.create("fatal", cmdline="exit=" + request)),
                            "a toolstack that takes requests")
            s.peer.ask(w.UNPAUSE, domid=made.domid)
            failed = s.peer.ask(ask, domid=made.domid)
        equal((failed.kind, failed.error), (w.FAILED, w.E_GONE), request)
        wait_for(lambda: s.pid(SYSTEM, TOOLSTACK) not in (0, old), "another toolstack")
    # This ground forgets its qubes; the monitor tells of the end of each.
    equal(s.peer.event(w.STOPPED, keep).cause, w.CRASH)
    made = wait_for(lambda: (lambda m: m if m.kind == w.CREATED else None)(s.create("last")), "a qube")
    equal(s.peer.ask(w.DESTROY, domid=made.domid).kind, w.DONE)
    s.stop()


# If this failed, a number would be given twice, and one qube be taken for another.
@case("fake numbers go up, past the monitor's death, and round at the end")
def _(t):
    s = begin(t)
    equal([s.create(f"q{i}").domid for i in range(3)], [1, 2, 3])
    s.crash()
    s.start(*WITHOUT)
    equal(s.create("next").domid, 4)
    s.crash()
    with open(os.path.join(s.root, "run/skerry/records/6.0"), "r+b") as file:
        file.seek(76)
        file.write((32750).to_bytes(4, "little"))
    s.start(*WITHOUT)
    equal([s.create(f"z{i}").domid for i in range(3)], [32751, 1, 2])
    s.stop()


# If this failed, a busy admin service could be starved, or answers be mixed up.
@case("fake five hundred requests at once, each with its own answer")
def _(t):
    s = begin(t)
    domids = [s.create(f"q{i}").domid for i in range(50)]
    serials = {}
    for i in range(500):
        s.peer.serial += 1
        serials[s.peer.serial] = domids[i % 50]
        s.peer.send(w.UNPAUSE if i % 100 < 50 else w.PAUSE, s.peer.serial, domids[i % 50])
    for serial, domid in serials.items():
        answer = s.peer.wait(lambda m: m.serial == serial and m.kind in (w.DONE, w.FAILED))  # noqa: B023
        equal((answer.kind, answer.domid), (w.DONE, domid))
    s.stop()


if __name__ == "__main__":
    main()
