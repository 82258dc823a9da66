# SPDX-License-Identifier: GPL-2.0-or-later
"""The admin service with its store, and stand-ins for the monitor, the storage service and QubesDB.

The stand-ins are deterministic: they answer at once, number domains in the order in which they are
created, and can be told to refuse. Nothing here shares code with the programs.
"""

import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time
import uuid as uuids

HANG = float(os.environ.get("SKERRY_HANG", "60"))
BUILD = os.environ.get("SKERRY_BUILD", "build/release")
SOCKETS = {"qubesd.sock": "run/qubesd.sock", "qubesd.internal.sock": "run/qubesd.internal.sock",
           "qubesd.misc.sock": "run/qubesd.misc.sock"}
ZERO = "00000000-0000-0000-0000-000000000000"


class Wrong(Exception):
    pass


def until(fn, what="a condition"):
    end = time.monotonic() + HANG
    while not fn():
        if time.monotonic() > end:
            raise Wrong("waited too long for " + what)
        time.sleep(0.002)


def fixture_uuid(name):
    return str(uuids.uuid5(uuids.NAMESPACE_DNS, name + ".world1"))


# --- the monitor -----------------------------------------------------------------------------------

(HELLO, CREATE, UNPAUSE, PAUSE, SHUTDOWN, DESTROY, NETWORK, STATS, QREXEC, CALL) = range(1, 11)
DONE, CREATED, FAILED, END = 32, 33, 34, 35
QUBE, STOPPED, STAT = 48, 49, 50
E_STATE, E_MEMORY, E_GROUND, E_TIMEOUT, E_PROGRAM = 1, 4, 7, 8, 9
S_PAUSED, S_RUNNING = 1, 2


def text(raw):
    return raw.split(b"\0")[0].decode()


class Monitor(threading.Thread):
    """Answers like the monitor with a ground where everything works."""

    def __init__(self, sock, table=(), next_domid=1):
        super().__init__(daemon=True)
        self.sock = sock
        self.qubes = {}  # domid -> [uuid bytes, name, state]
        for domid, uuid, name, state in table:
            self.qubes[domid] = [uuids.UUID(uuid).bytes, name, state]
        self.next = next_domid
        self.refuse_memory = False
        self.refuse_create = {}     # name -> text
        self.qrexec_status = {}     # name -> exit status
        self.call_status = {}       # service -> exit status
        self.call_late = set()      # services that are not done when their time is over
        self.mute = set()           # kinds that get no answer
        self.hold_stop = set()      # names that are asked to end and go on until let_stop()
        self.log = []               # what was asked, as text
        self.calls = []             # (name, user, service, input)
        self.call_limits = []       # (service, milliseconds)
        self.on_create = None
        self.on_stop = None
        self.wait = threading.Condition()

    def send(self, kind, serial, domid=0, body=b""):
        try:
            self.sock.send(struct.pack("<III", kind, serial, domid) + body)
        except OSError:
            pass

    def failed(self, serial, domid, error, status=0, why=""):
        self.send(FAILED, serial, domid, struct.pack("<II", error, status) + why.encode().ljust(128, b"\0"))

    def qube(self, serial, domid):
        uuid, name, state = self.qubes[domid]
        self.send(QUBE, serial, domid, uuid + name.encode().ljust(32, b"\0") + struct.pack("<I", state))

    def stop(self, domid, cause=1):
        uuid, name, _ = self.qubes.pop(domid)
        if self.on_stop:
            self.on_stop(name)
        self.send(STOPPED, 0, domid, uuid + struct.pack("<I", cause))

    def let_stop(self, name):
        with self.wait:
            self.hold_stop.discard(name)
            self.stop(self.domid_of(name))

    def domid_of(self, name):
        return next(d for d, q in self.qubes.items() if q[1] == name)

    def run(self):
        while True:
            try:
                packet = self.sock.recv(16384)
            except OSError:
                return
            if not packet:
                return
            kind, serial, domid = struct.unpack_from("<III", packet)
            with self.wait:
                self.handle(kind, serial, domid, packet[12:])
                self.wait.notify_all()

    def handle(self, kind, serial, domid, body):
        if kind in self.mute:
            self.log.append("mute %d" % kind)
            return
        if kind == HELLO:
            for number in list(self.qubes):
                self.qube(serial, number)
            self.send(END, serial)
        elif kind == CREATE:
            self.create(serial, body)
        elif kind == STATS:
            for number in list(self.qubes):
                self.send(STAT, serial, number, struct.pack("<QQI", 409600, 9000000, 2))
            self.send(DONE, serial, 0, struct.pack("<I", 0))
        elif kind == CALL:
            name, user, service, source = (text(body[:32]), text(body[32:64]), text(body[64:128]),
                                           text(body[128:160]))
            length = struct.unpack_from("<I", body, 164)[0]
            self.calls.append((name, user, service, body[168:168 + length]))
            self.log.append("qrexec-client -d %s %s:%s %s" % (name, user, service, source))
            self.call_limits.append((service, struct.unpack_from("<I", body, 160)[0]))
            if service in self.call_late:
                self.failed(serial, domid, E_TIMEOUT, 0, "not done in time")
                return
            self.send(DONE, serial, domid, struct.pack("<I", self.call_status.get(service, 0)))
        elif domid not in self.qubes:
            self.failed(serial, domid, E_STATE, 0, "no such qube")
        else:
            self.change(kind, serial, domid, body)

    def create(self, serial, body):
        name = text(body[16:48])
        if self.refuse_memory:
            self.failed(serial, 0, E_MEMORY, 0, "not enough memory")
            return
        if name in self.refuse_create:
            self.failed(serial, 0, E_GROUND, 0, self.refuse_create[name])
            return
        domid, self.next = self.next, self.next + 1
        self.qubes[domid] = [body[:16], name, S_PAUSED]
        self.log.append("create %d %s" % (domid, name))
        if self.on_create:
            self.on_create(name)
        self.send(CREATED, serial, domid)

    def change(self, kind, serial, domid, body):
        name = self.qubes[domid][1]
        if kind == QREXEC:
            timeout = struct.unpack_from("<I", body)[0]
            self.log.append("qrexec-daemon -q -u %s -- %d %s %s %s" % (
                uuids.UUID(bytes=body[68:84]), domid, text(body[4:36]), text(body[36:68]),
                "TIMEOUT=%d NOWAIT=" % timeout if timeout else "TIMEOUT= NOWAIT=1"))
            if name in self.qrexec_status:
                self.failed(serial, domid, E_PROGRAM, self.qrexec_status[name], "no agent")
                return
        elif kind == UNPAUSE:
            self.qubes[domid][2] = S_RUNNING
        elif kind == PAUSE:
            self.qubes[domid][2] = S_PAUSED
        elif kind in (SHUTDOWN, DESTROY):
            self.log.append(("xl shutdown -F %s" if kind == SHUTDOWN else "destroy %s") % name)
            if kind == SHUTDOWN:
                self.send(DONE, serial, domid, struct.pack("<I", 0))
                if name in self.hold_stop:
                    return
            self.stop(domid)
            if kind == SHUTDOWN:
                return
        elif kind == NETWORK:
            netvm, ip = struct.unpack_from("<II", body)
            self.log.append("network %s %d" % (name, netvm))
        self.send(DONE, serial, domid, struct.pack("<I", 0))


# --- QubesDB ---------------------------------------------------------------------------------------

class QubesDb:
    """The socket of one qube's QubesDB, with watches."""

    def __init__(self, path, entries=()):
        self.path, self.entries, self.written = path, dict(entries), []
        self.lock = threading.Lock()
        self.clients = []  # [socket, watches]
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        self.listener.bind(path)
        self.listener.listen(16)
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.closed = True
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for client in self.clients:
            try:
                client[0].shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            client[0].close()

    def accept(self):
        while not self.closed:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            client = [sock, []]
            self.clients.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def reply(sock, kind, path, data=b""):
        try:
            sock.sendall(struct.pack("<B64s3xI", kind, path, len(data)) + data)
        except OSError:
            pass

    def fire(self, path):
        for sock, watches in self.clients:
            for watch in watches:
                if path == watch or (watch.endswith("/") and path.startswith(watch)):
                    self.reply(sock, 13, path.encode())

    def write(self, path, value):
        """As the qube would."""
        with self.lock:
            self.entries[path] = value
            self.fire(path)

    def serve(self, client):
        sock = client[0]
        with sock.makefile("rb") as stream:
            self.serve_stream(client, stream)

    def serve_stream(self, client, stream):
        while True:
            try:
                head = stream.read(72)
            except (OSError, ValueError):
                return
            if len(head) < 72:
                return
            kind, path, length = struct.unpack("<B64s3xI", head)
            data = stream.read(length) if length else b""
            path = path.split(b"\0")[0].decode()
            with self.lock:
                self.handle(client, kind, path, data)

    def handle(self, client, kind, path, data):
        sock, raw = client[0], path.encode()
        if kind == 0:
            if path in self.entries:
                self.reply(sock, 10, raw, self.entries[path].encode())
            else:
                self.reply(sock, 8, raw)
        elif kind == 1:
            self.entries[path] = data.decode()
            self.written.append((path, data.decode()))
            self.reply(sock, 7, raw)
            self.fire(path)
        elif kind in (2, 3):
            for key in sorted(k for k in self.entries if k.startswith(path)):
                self.reply(sock, 11 if kind == 2 else 12, key.encode(),
                           self.entries[key].encode() if kind == 2 else b"")
            self.reply(sock, 11 if kind == 2 else 12, b"")
        elif kind == 4:
            gone = [k for k in self.entries if k == path or (path.endswith("/") and k.startswith(path))]
            for key in gone:
                del self.entries[key]
            self.written.append((path, None))
            self.reply(sock, 7 if gone else 8, raw)
            if gone:
                self.fire(path)
        elif kind == 5:
            client[1].append(path)
            self.reply(sock, 7, raw)
        else:
            self.reply(sock, 9, raw)


# --- the service -----------------------------------------------------------------------------------

def receive(sock):
    data = b""
    while True:
        try:
            part = sock.recv(1 << 16)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def frames(data):
    """Whole event frames at the start of data, and what is left."""
    found = []
    while data.startswith(b"1\0"):
        words, at = [], 2
        while True:
            end = data.find(b"\0", at)
            if end < 0:
                return found, data
            word = data[at:end].decode("latin-1")
            at = end + 1
            if len(words) >= 2 and len(words) % 2 == 0 and word == "":
                break
            words.append(word)
        found.append([words[0], words[1], dict(zip(words[2::2], words[3::2]))])
        data = data[at:]
    return found, data


class Stream:
    """A subscription to events."""

    def __init__(self, admin, request="admin.Events+ dom0 name dom0"):
        self.sock = admin.dial()
        admin.streams.append(self)
        self.raw = b""
        self.sock.sendall(request.encode() + b"\0")
        self.sock.shutdown(socket.SHUT_WR)
        self.events, self.eof = [], False
        self.cond = threading.Condition()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        data = b""
        while True:
            try:
                part = self.sock.recv(1 << 16)
            except OSError:
                part = b""
            with self.cond:
                if not part:
                    self.eof, self.tail = True, data
                    self.cond.notify_all()
                    return
                self.raw += part
                found, data = frames(data + part)
                self.events += found
                self.cond.notify_all()

    def wait(self, check, limit=HANG):
        end = time.monotonic() + limit
        with self.cond:
            while not check(self.events) and not self.eof:
                left = end - time.monotonic()
                if left <= 0 or not self.cond.wait(left):
                    return False
            return check(self.events)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(HANG)
        self.sock.close()


class Admin:
    """skerry-admin and skerry-store below a root of their own."""

    KERNELS = ["6.12.1-1.fc41:vmlinuz,initramfs,modules.img", "6.18.2-1.fc41:vmlinuz,initramfs,modules.img",
               "pvgrub2-pvh:vmlinuz"]

    def __init__(self, root=None, table=(), next_domid=1, args=(), qubesdb=True, storage=False, log=None):
        self.own = root is None
        self.root = root or tempfile.mkdtemp(prefix="adm")
        os.chmod(self.root, 0o755)
        os.makedirs(self.path("run/qubes"), exist_ok=True)
        # Programs that use the longer path of the same folder find it.
        os.makedirs(self.path("var"), exist_ok=True)
        if not os.path.lexists(self.path("var/run")):
            os.symlink("../run", self.path("var/run"))
        self.databases, self.streams = {}, []
        self.log = open(log or os.path.join(self.root, "log"), "ab")
        self.table, self.next_domid, self.args, self.use_qubesdb = list(table), next_domid, list(args), qubesdb
        self.use_storage = storage
        self.seeds = {}
        self.start()

    def path(self, name):
        return os.path.join(self.root, name)

    def program(self, name):
        return os.path.join(BUILD, "services/admin", name)

    def qdb_start(self, name):
        if self.use_qubesdb:
            self.databases[name] = QubesDb(self.path("run/qubes/qubesdb.%s.sock" % name), self.seeds.get(name, {}))

    def qdb_stop(self, name):
        database = self.databases.pop(name, None)
        if database:
            database.close()

    def start(self):
        kind = socket.SOCK_SEQPACKET
        mine, store = socket.socketpair(socket.AF_UNIX, kind)
        monitor, other = socket.socketpair(socket.AF_UNIX, kind)
        self.monitor = Monitor(monitor, self.table, self.next_domid)
        self.monitor.on_create, self.monitor.on_stop = self.qdb_start, self.qdb_stop
        for _, _, name, _ in self.table:
            self.qdb_start(name)
        ready, wready = os.pipe()
        keep = [mine.fileno(), other.fileno(), wready]
        command = [self.program("skerry-admin"), "--root=" + self.root, "--store-fd=%d" % mine.fileno(),
                   "--monitor-fd=%d" % other.fileno(), "--ready-fd=%d" % wready, "--memory-mib=32768", "--cpus=8",
                   "--dom0-memory-kib=4194304", "--timezone=UTC"]
        command += ["--kernel=" + k for k in self.KERNELS]
        self.storage = self.backup = None
        if self.use_storage:
            self.start_backup()
            ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
            self.storage = subprocess.Popen(
                [os.path.join(BUILD, "services/storage/skerry-storage"), "--root=" + self.root,
                 "--admin-fd=%d" % ours.fileno()], pass_fds=[ours.fileno()], stderr=self.log, stdout=self.log)
            ours.close()
            command.append("--storage-fd=%d" % theirs.fileno())
            keep.append(theirs.fileno())
        self.monitor.start()
        self.store = subprocess.Popen([self.program("skerry-store"), "--root=" + self.root,
                                       "--admin-fd=%d" % store.fileno()], pass_fds=[store.fileno()],
                                      stderr=self.log, stdout=self.log)
        self.admin = subprocess.Popen(command + self.args, pass_fds=keep, stderr=self.log, stdout=self.log)
        for sock in (mine, store, other):
            sock.close()
        if self.use_storage:
            theirs.close()
        os.close(wready)
        got = os.read(ready, 1)
        os.close(ready)
        if got != b"\n":
            self.stop()
            raise Wrong("the service did not start: " + self.log_text()[-600:])

    def start_backup(self, program=None):
        ready, wready = os.pipe()
        self.backup = subprocess.Popen(
            [program or os.path.join(BUILD, "services/backup/skerry-backup"), "--root=" + self.root, "--scrypt-cost=10",
             "--ready-fd=%d" % wready], pass_fds=[wready], stderr=self.log, stdout=self.log)
        os.close(wready)
        os.read(ready, 1)
        os.close(ready)

    def log_text(self):
        self.log.flush()
        with open(self.log.name, "rb") as f:
            return f.read().decode("latin-1")

    def stop(self, kill=False):
        """Both programs end; what runs on the ground stays in the table. The admin's exit status."""
        if kill:
            self.admin.kill()
            self.store.kill()
            if self.storage:
                self.storage.kill()
        else:
            self.admin.terminate()
        status = self.admin.wait(HANG)
        self.store.wait(HANG)
        self.table = [(d, str(uuids.UUID(bytes=q[0])), q[1], q[2]) for d, q in self.monitor.qubes.items()]
        self.next_domid = self.monitor.next
        try:
            self.monitor.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.monitor.sock.close()
        for stream in self.streams:
            stream.close()
        self.streams = []
        for name in list(self.databases):
            self.qdb_stop(name)
        if self.storage:
            self.storage.wait(HANG)
        if self.backup:
            self.backup.kill()
            self.backup.wait(HANG)
        return status

    def close(self):
        status = self.stop()
        self.log.close()
        if self.own:
            shutil.rmtree(self.root, ignore_errors=True)
        return status

    def dial(self, sock="qubesd.sock"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(HANG)
        s.connect(self.path(SOCKETS[sock]))
        return s

    def ask(self, request, sock="qubesd.sock"):
        """The bytes of a request to the bytes of its reply."""
        if isinstance(request, str):
            request = request.encode("latin-1")
        s = self.dial(sock)
        try:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
        data = receive(s)
        s.close()
        return data

    def call(self, method, arg="", dest="dom0", payload="", src="dom0", sock="qubesd.sock"):
        return self.ask("%s+%s %s name %s\0%s" % (method, arg, src, dest, payload), sock)

    def ok(self, *args, **more):
        reply = self.call(*args, **more)
        if not reply.startswith(b"0\0"):
            raise Wrong("%s: %r" % (args, reply))
        return reply[2:].decode("latin-1")

    def events(self):
        return Stream(self)

    def database(self):
        return sqlite3.connect(self.path("var/lib/qubes/admin/admin.sqlite"))
