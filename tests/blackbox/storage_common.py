# SPDX-License-Identifier: GPL-2.0-or-later
"""skerry-storage as its admin service sees it: packets packed and unpacked by hand."""

import os
import socket
import struct

from harness import HANG, Failure, equal

DIRECTORY, FILE_REFLINK, FILE, LINUX_KERNEL, HOST = 1, 2, 3, 4, 5
(POOL_SETUP, POOL_FORGET, POOL_INFO, POOL_LIST) = range(1, 5)
(CREATE, REMOVE, VERIFY, START, STOP, CLONE, RESIZE, INFO, REVISIONS, REVERT, CLEAR, IMPORT_BEGIN,
 IMPORT_END, EXPORT, EXPORT_END, CANCEL) = range(8, 24)
DONE, FAILED, PART, PROGRESS, NOTE = range(64, 69)
RW, SAVE, SNAP, EPHEMERAL, SHARED, RECOVER, ADOPT, OK, SETUP_CHECK = (1 << n for n in range(9))
OUTDATED, DIRTY, READ_ONLY, KNOWN = (1 << n for n in range(16, 20))
M_NONE, M_DIR, M_FILE, M_BLOCK, M_HOST = range(5)
(E_NONE, E_IO, E_NO_POOL, E_MISSING, E_EXISTS, E_IN_USE, E_NO_REVISION, E_UNSUPPORTED, E_BAD_DATA,
 E_NO_SPACE, E_CANCELLED, E_BUSY) = range(12)
ORIGIN, SNAPSHOT, FRESH = RW | SAVE, RW | SNAP, RW


class Answer:
    def __init__(self, packet):
        (self.kind, self.serial, self.code, self.flags, self.medium, _, self.size, self.usage, path,
         text) = struct.unpack("<6IQQ768s256s", packet)
        self.path = path.rstrip(b"\0").decode()
        self.text = text.rstrip(b"\0").decode()

    def __repr__(self):
        return f"Answer({self.kind}, code {self.code}, {self.flags:#x}, {self.path!r}, {self.text!r})"


class Done(list):
    """The last answer, and before it what came: .parts, .notes, .progress."""


class Storage:
    def __init__(self, t, **more):
        self.t = t
        self.serial = 0
        self.waiting = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock = ours
        self.sock.settimeout(HANG)
        ready, ready_out = os.pipe()
        self.process = t.start("skerry-storage", "--admin-fd=%d" % theirs.fileno(),
                               "--ready-fd=%d" % ready_out, pass_fds=[theirs.fileno(), ready_out],
                               **more)
        theirs.close()
        os.close(ready_out)
        equal(os.read(ready, 10), b"\n", "ready")
        os.close(ready)

    def send(self, kind, pool="", vid="", flags=0, size=0, keep=0, source="", source_pool="",
             revision="", driver=0, directory="", owner=0):
        self.serial += 1
        self.sock.send(struct.pack("<4IqQ64s64s64s256s256s256sI", kind, self.serial, flags, driver, keep,
                                   size, pool.encode(), source_pool.encode(), revision.encode(),
                                   vid.encode(), source.encode(), directory.encode(), owner))
        return self.serial

    def wait(self, serial):
        """The final answer to a request; .parts and .notes hold what came before it."""
        while True:
            got = self.waiting.get(serial, [])
            if got and got[-1].kind in (DONE, FAILED):
                last = got[-1]
                last.parts = [a.path for a in got if a.kind == PART]
                last.notes = [a.text for a in got if a.kind == NOTE]
                last.progress = [a for a in got if a.kind == PROGRESS]
                return self.waiting.pop(serial)[-1]
            packet = self.sock.recv(2000)
            if not packet:
                raise Failure("the service is gone")
            answer = Answer(packet)
            self.waiting.setdefault(answer.serial, []).append(answer)

    def ask(self, kind, *args, **more):
        return self.wait(self.send(kind, *args, **more))

    def do(self, kind, *args, **more):
        answer = self.ask(kind, *args, **more)
        if answer.kind != DONE:
            raise Failure(f"request {kind} {args} failed: {answer!r}")
        return answer

    def refused(self, code, kind, *args, **more):
        answer = self.ask(kind, *args, **more)
        equal((answer.kind, answer.code), (FAILED, code), repr(answer))
        return answer

    def pool(self, name, driver, directory, check=False):
        self.do(POOL_SETUP, name, driver=driver, directory=directory, flags=SETUP_CHECK if check else 0)

    def close(self):
        self.sock.close()
        return self.process.wait()
