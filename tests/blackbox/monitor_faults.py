# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of the system's processes at random moments, while qubes are started, used and stopped."""
import os
import random
import signal
import threading
import time

import monitor_wire as w
from harness import Failure, case, check, equal, main, wait_for
from monitor_system import CHANNELS, DATABASE, KEEPER, POLICY, QUBE, SYSTEM, System, TOOLSTACK

SECONDS = 180 if os.environ.get("LONG") == "1" else 6


class Work(threading.Thread):
    """Calls into one qube, one after the other. Each must end; which fail is counted."""

    def __init__(self, system, name):
        super().__init__(daemon=True)
        self.system, self.name_, self.stopping = system, name, False
        self.good = self.bad = 0
        self.wrong = []

    def run(self):
        while not self.stopping:
            try:
                status, text = self.system.call(self.name_, "echo said; exit 3", timeout=60)
            except Failure as failure:
                self.wrong.append(str(failure))
                return
            # A call that says that it went well did go well.
            if status == 3 and text == "said\n":
                self.good += 1
            elif status == 3:
                self.wrong.append(f"status 3 with {text!r}")
            else:
                self.bad += 1
                time.sleep(0.05)


def restart(s):
    """A new monitor, and the rows that it tells."""
    s.crash()
    return {row.domid: row for row in s.start()}


# If this failed, a crash of any process would cost the user a qube, or leave one that nobody can stop.
@case("faults random kill -9 of monitor, toolstack, broker, policy, keepers and QubesDB")
def _(t):
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print(f"# SEED={seed}")
    dice = random.Random(seed)
    s = System(t)
    s.start()
    steady = [s.run(name) for name in ("one", "two")]
    inits = {d: s.pid(QUBE, d) for d in steady}
    workers = [Work(s, name) for name in ("one", "two")]
    for worker in workers:
        worker.start()
    kills, made = 0, 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(dice.uniform(0, 0.4))
        if dice.random() < 0.3:
            # In the middle of a creation, of which only the qube's absence or presence may remain.
            made += 1
            s.peer.send(w.CREATE, 7, name=f"temp{made}", uuid=os.urandom(16), owner=9,
                        volumes=[("root", w.VOLUME_HOST, "", 1), ("private", w.VOLUME_DIR, s.volume(f"temp{made}"), 0)])
            time.sleep(dice.uniform(0, 0.1))
        victims = [(SYSTEM, TOOLSTACK), (SYSTEM, CHANNELS), (SYSTEM, POLICY), (KEEPER, steady[0]), (KEEPER, steady[1]),
                   (DATABASE, steady[0])]
        if dice.random() < 0.35:
            rows = restart(s)
            for domid in steady:
                check(domid in rows, f"qube {domid} is not known after the monitor's death")
        else:
            s.kill(s.pid(*dice.choice(victims)))
        kills += 1
        for domid, pid in inits.items():
            equal(s.pid(QUBE, domid), pid, "a qube that runs")
            os.kill(pid, 0)
    for worker in workers:
        worker.stopping = True
    for worker in workers:
        worker.join(90)
        check(not worker.is_alive(), "a call that never ends")
        equal(worker.wrong, [], "calls")
    print(f"# {kills} kills, {made} creations cut; calls that went well {[x.good for x in workers]}, that failed {[x.bad for x in workers]}")
    # Now everything must work again, and whatever was half made can be ended.
    rows = restart(s)
    for domid, row in rows.items():
        if domid not in steady:
            equal(s.peer.ask(w.DESTROY, domid=domid).kind, w.DONE, f"the end of {row.name}")
    for name in ("one", "two"):
        wait_for(lambda: s.call(name, "echo said") == (0, "said\n"), f"calls into {name}")  # noqa: B023
    equal(sorted(d for _, d in s.records(QUBE)), sorted(steady), "qubes that are left")
    s.stop()


# If this failed, a monitor that is killed while it stops the system would leave qubes that nobody ends.
@case("faults kill -9 of the monitor while it stops")
def _(t):
    s = System(t)
    s.start()
    for name in ("one", "two", "three"):
        s.run(name)
    s.daemon.kill(signal.SIGTERM)
    time.sleep(0.02)
    s.crash()
    s.start()
    s.stop()


# If this failed, a storm of crashes of a qube's agent would be dom0's.
@case("faults a qube that ends the moment it begins, again and again")
def _(t):
    s = System(t)
    s.start()
    for i in range(10 if SECONDS < 60 else 100):
        made = s.create("short")
        equal(made.kind, w.CREATED, str(made))
        s.kill(s.pid(QUBE, made.domid))
        s.peer.send(w.UNPAUSE, 7, made.domid)
        s.peer.event(w.STOPPED, made.domid)
    wait_for(lambda: not s.records(QUBE) and not s.records(DATABASE), "records of ended qubes are gone")
    s.run("whole")
    s.stop()


if __name__ == "__main__":
    main()
