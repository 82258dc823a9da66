# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole system under skerryd, with the test in the place of the admin service."""
import os
import signal
import struct
import subprocess
import time

import monitor_wire as w
from harness import BUILD, Failure, Skip, equal, program, wait_for

RECORD = struct.Struct("<IIIIIQ16s32s")
QUBE, NETWORK, SYSTEM, KEEPER, DATABASE = range(1, 6)
TOOLSTACK, CHANNELS, POLICY = 1, 2, 3
PAIR_FD = 40


def start_time(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    # One that has ended and is not reaped yet, by whoever adopted it, has ended.
    return int(fields[19]) if fields[0] not in (b"Z", b"X") else None


def describe(pid):
    """Who a process is, for messages."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return f"{pid} {lines['Name'].strip()} {lines['State'].strip()} {file.read()[:150]}"
    except OSError:
        return f"{pid} gone"


def control_groups():
    """The folders of qubes' control groups below this user's own, of any system; none where they are gone, or have
    qubes of another system in them at this moment."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        own = [line[3:].strip() for line in file if line.startswith("0::")]
    places = [os.path.join(mount + path, "skerry-qubes") for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
              for path in own]
    return [place for place in places
            if os.path.isdir(place) and not any(entry.is_dir() for entry in os.scandir(place))]


def usable():
    """Skips where no qube can be made, and says why."""
    tree = os.path.join(BUILD, "qube-tree/usr/local/lib/skerry/qube/usr/lib/qubes/skerry-qube-init")
    if not os.access(tree, os.X_OK):
        raise Skip("the qubes' files are not laid out: scripts/setup.sh does it")
    probe = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise Skip("no sandboxes here: " + probe.stderr.decode(errors="replace").strip())


class System:
    def __init__(self, t, real=True):
        if real:
            usable()
        self.t = t
        self.root = t.root
        self.daemon = None
        self.peer = None
        self.known = {}
        self.domids = {}
        t.own(self)

    # the monitor

    def launch(self, *more):
        """skerryd with a link of its own; the peer."""
        ours, theirs = w.pair()
        os.set_inheritable(theirs.fileno(), True)
        self.daemon = self.t.start("skerryd", f"--admin-fd={theirs.fileno()}", *more, pass_fds=[theirs.fileno()])
        theirs.close()
        self.peer = w.Peer(ours)
        return self.peer

    def start(self, *more):
        """… and its answer to HELLO: the rows of the table."""
        peer = self.launch("--stop-seconds=10", *more)
        end = peer.ask(w.HELLO, version=2)
        equal(end.kind, w.END, "the answer to HELLO")
        rows = [m for m in peer.seen if m.kind == w.QUBE and m.serial == end.serial]
        peer.seen = [m for m in peer.seen if m not in rows]
        return rows

    def records(self, kind=None):
        """(kind, domid): (pid, start)"""
        found = {}
        folder = os.path.join(self.root, "run/skerry/records")
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    _, k, domid, pid, _, start, _, _ = RECORD.unpack_from(file.read())
            except (OSError, struct.error):
                continue
            if pid:
                found[k, domid] = (pid, start)
                self.known[pid] = start
        return {key: value for key, value in found.items() if kind in (None, key[0])}

    def pid(self, kind, domid):
        return self.records().get((kind, domid), (0, 0))[0]

    def alive(self):
        """Every process that was ever written down and still runs."""
        self.records()
        return [pid for pid, start in self.known.items() if start_time(pid) == start]

    def kill(self, pid, signo=signal.SIGKILL):
        if pid <= 0:
            return  # 0 would be this whole group
        try:
            os.kill(pid, signo)
        except ProcessLookupError:
            pass

    def crash(self):
        """kill -9 of the monitor, and nothing else."""
        self.records()
        self.daemon.kill()
        self.daemon.wait(output=False)
        self.peer.close()

    def stop(self):
        """An orderly end: exit status 0, and nothing is left."""
        self.records()
        self.daemon.kill(signal.SIGTERM)
        equal(self.daemon.wait(output=False), 0, "exit status of skerryd")
        self.peer.close()
        try:
            wait_for(lambda: not self.alive(), "every process ended")
        except Failure:
            raise Failure("left: " + "; ".join(describe(pid) for pid in self.alive())) from None
        equal(os.listdir(os.path.join(self.root, "run/skerry")), [], "files left in run/skerry")

    def close(self):
        if self.peer:
            self.peer.close()
        if self.daemon and self.daemon.running():
            self.daemon.kill(signal.SIGTERM)
            end = time.monotonic() + 20
            while self.daemon.running() and time.monotonic() < end:
                time.sleep(0.02)
            self.daemon.kill()
        for _ in range(3):
            for pid in self.alive():
                self.kill(pid)
            time.sleep(0.02)

    # qubes

    def volume(self, name):
        path = os.path.join(self.root, "var/lib/qubes", name)
        os.makedirs(path, exist_ok=True)
        return path

    def create(self, name, private=None, root=(w.VOLUME_HOST, ""), size=0, **more):
        number = sum(name.encode()) % 60000 + 1
        return self.peer.ask(w.CREATE, name=name, uuid=name.encode().ljust(16, b"\0"), owner=number,
                             volumes=[("root", root[0], root[1], 1),
                                      ("private", w.VOLUME_DIR, private or self.volume(name), 0, size)], **more)

    def run(self, name, **more):
        """A qube that runs and has greeted; its domid."""
        made = self.create(name, **more)
        equal(made.kind, w.CREATED, f"creation of {name}: {made}")
        self.domids[name] = made.domid
        for answer in (self.peer.ask(w.UNPAUSE, domid=made.domid),
                       self.peer.ask(w.QREXEC, domid=made.domid, seconds=60, name=name, user="user",
                                     uuid=name.encode().ljust(16, b"\0"), timeout=90)):
            equal(answer.kind, w.DONE, f"start of {name}: {answer}")
        return made.domid

    def env(self):
        return dict(self.t.env, VCHAN_TRANSPORT="memfd", VCHAN_DOMAIN="0",
                    VCHAN_BROKER=os.path.join(self.root, "run/skerry/channels/0/broker.sock"))

    def popen(self, name, command, **more):
        return subprocess.Popen([program("qrexec-client"), "-d", name, "user:" + command], env=self.env(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def call(self, name, command, timeout=60):
        """A command in a qube; (exit status, output)."""
        child = self.popen(name, command)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise Failure(f"{command!r} in {name} did not end") from None
        return child.returncode, (out + err).decode(errors="replace")

    def output(self, name, command):
        status, text = self.call(name, command)
        equal(status, 0, f"{command!r} in {name}: {text}")
        return text.strip()

    def log(self, name):
        try:
            with open(os.path.join(self.root, "var/log/qubes", name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""
