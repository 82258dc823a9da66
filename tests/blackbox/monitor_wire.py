# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages of monitor, toolstack and admin in Python: a second opinion on proto/monitor.c."""
import select
import socket
import struct
import time

HELLO, CREATE, UNPAUSE, PAUSE, SHUTDOWN, DESTROY, NETWORK, STATS, QREXEC, CALL, CHANNELS_OPEN, CHANNELS_CLOSE = range(1, 13)
DONE, CREATED, FAILED, END = range(32, 36)
QUBE, STOPPED, STAT = range(48, 51)
NAMES = {v: k for k, v in list(globals().items()) if k.isupper() and isinstance(v, int)}
VOLUME_NONE, VOLUME_DIR, VOLUME_FILE, VOLUME_BLOCK, VOLUME_HOST = range(5)
PAUSED, RUNNING, HALTING, DYING = range(1, 5)
OFF, CRASH, DESTROYED = range(1, 4)
E_STATE, E_EXISTS, E_LIMIT, E_MEMORY, E_VOLUME, E_NETWORK, E_GROUND, E_TIMEOUT, E_PROGRAM, E_UNSUPPORTED, E_GONE = range(1, 12)
PROVIDES_NETWORK = 2
UUID = "16s"
# kind: (struct format, names); a text is an s whose NULs go
LAYOUTS = {
    HELLO: ("I", ["version"]),
    NETWORK: ("IIQ", ["netvm", "ip", "mac"]),
    QREXEC: ("I32s32s16s", ["seconds", "name", "user", "uuid"]),
    CALL: ("32s32s64s32sII512s", ["name", "user", "service", "source", "timeout_ms", "input_len", "input"]),
    CHANNELS_OPEN: ("I", ["owner"]),
    DONE: ("I", ["status"]),
    FAILED: ("II128s", ["error", "status", "text"]),
    QUBE: ("16s32sI", ["uuid", "name", "state"]),
    STOPPED: ("16sI", ["uuid", "cause"]),
    STAT: ("QQI", ["memory", "cpu_ns", "vcpus"]),
}
VOLUME = struct.Struct("<16s768sIIQ")
CREATE_HEAD = struct.Struct("<16s32sIIIQQIIIQI32s")
CREATE_TAIL = struct.Struct("<768s768s1024s")


def text(value):
    return value.encode() if isinstance(value, str) else value


def encode(kind, serial=0, domid=0, **fields):
    head = struct.pack("<III", kind, serial, domid)
    if kind == CREATE:
        return head + encode_create(**fields)
    if kind not in LAYOUTS:
        return head
    layout, names = LAYOUTS[kind]
    return head + struct.pack("<" + layout, *(text({"mac": 0, **fields}[n]) for n in names))


def encode_create(name, uuid, volumes, owner=1, memory=409600, memory_max=409600, vcpus=1, netvm=0, ip=0, mac=0,
                  user="user", flags=0, qube_class=0, kernel="", initrd="", cmdline=""):
    data = CREATE_HEAD.pack(uuid, text(name), qube_class, 0, flags, memory, memory_max, vcpus, netvm, ip, mac, owner, text(user))
    rows = [VOLUME.pack(text(role), text(path), kind, ro, *(size or [0])) for role, kind, path, ro, *size in volumes]
    rows += [VOLUME.pack(b"", b"", 0, 0, 0)] * (8 - len(rows))
    return data + b"".join(rows) + CREATE_TAIL.pack(text(kernel), text(initrd), text(cmdline))


class Message:
    def __init__(self, data):
        self.kind, self.serial, self.domid = struct.unpack_from("<III", data)
        self.fields = {}
        if self.kind == CREATE:
            values = CREATE_HEAD.unpack_from(data, 12)
            self.fields = {"uuid": values[0], "name": values[1].rstrip(b"\0").decode(), "netvm": values[8]}
        elif self.kind in LAYOUTS:
            layout, names = LAYOUTS[self.kind]
            values = struct.unpack_from("<" + layout, data, 12)
            self.fields = {n: v.rstrip(b"\0").decode() if isinstance(v, bytes) and n not in ("uuid", "input") else v
                           for n, v in zip(names, values)}

    def __getattr__(self, name):
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self):
        return f"{NAMES.get(self.kind, self.kind)}#{self.serial}({self.domid}) {self.fields}"


class Peer:
    """One end of a link. Keeps events and answers until somebody asks for them."""

    def __init__(self, sock):
        self.sock = sock
        self.serial = 100
        self.seen = []

    def close(self):
        self.sock.close()

    def send(self, kind, serial=0, domid=0, **fields):
        self.sock.send(encode(kind, serial, domid, **fields))

    def receive(self, timeout=20):
        if not select.select([self.sock], [], [], max(timeout, 0))[0]:
            return None
        data = self.sock.recv(16384)
        return Message(data) if data else False

    def wait(self, wanted, timeout=20):
        """The first message that wanted() takes; earlier and later ones stay."""
        end = time.monotonic() + timeout
        at = 0
        while True:
            while at < len(self.seen):
                if wanted(self.seen[at]):
                    return self.seen.pop(at)
                at += 1
            message = self.receive(end - time.monotonic())
            if not message:
                raise AssertionError(f"{'the link ended' if message is False else 'nothing came'}; seen: {self.seen}")
            self.seen.append(message)

    def ask(self, kind, domid=0, timeout=20, **fields):
        self.serial += 1
        serial = self.serial
        self.send(kind, serial, domid, **fields)
        return self.wait(lambda m: m.serial == serial and m.kind in (DONE, CREATED, FAILED, END), timeout)

    def event(self, kind, domid=None, timeout=20):
        return self.wait(lambda m: m.kind == kind and domid in (None, m.domid), timeout)


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
