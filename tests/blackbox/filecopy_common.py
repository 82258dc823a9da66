# SPDX-License-Identifier: GPL-2.0-or-later
"""The stream of qubes.Filecopy made and read by hand, and ways to run its programs."""

import hashlib
import shutil
import stat
import tempfile
import zlib

from harness import *

QUBE, DOM0 = os.path.join(BUILD, "qube/filecopy/"), os.path.join(BUILD, "tools/")
FILE, LINK, FOLDER = 0o100000, 0o120000, 0o040000
EOF_CODE = 31415926
TIME = 1700000000
END = bytes(32)


def entry(name, mode=FILE | 0o644, data=b"", size=None, namelen=None, atime=(TIME, 1), mtime=(TIME + 5, 2)):
    """Header, name and data as a sender writes them; size and namelen can lie."""
    name = raw(name)
    shown = name if namelen is not None else name + b"\0"
    size = len(data) if size is None else size
    return struct.pack("<IIQIIII", len(shown) if namelen is None else namelen, mode, size, *atime, *mtime) + shown + data


def folder(name, *inside, mode=FOLDER | 0o755, **more):
    return entry(name, mode, **more) + b"".join(inside) + entry(name, mode, **more)


def link(name, target):
    return entry(name, LINK | 0o777, raw(target))


class Received:
    """How a receiver ended: its status, its reply in parts, and what is in the folder."""

    def __init__(self, status, out, err, place):
        self.status, self.out, self.err, self.place = status, out, err, place
        self.code = self.crc = self.name = None
        if len(out) >= 16:
            self.code, _, self.crc = struct.unpack("<IIQ", out[:16])
        if len(out) > 16:
            length = struct.unpack("<I", out[16:20])[0]
            self.name = out[20:]
            equal(len(self.name), length, "the length of the last name")

    def is_error(self, code, name):
        equal((self.code, self.name, self.status), (code & 0xffffffff, name, code & 0xff), self.err.decode())

    def is_fine(self, name, stream):
        equal((self.status, self.code, self.name, self.crc), (0, 0, name, zlib.crc32(stream)), self.err.decode())

    def tree(self):
        return tree_of(self.place)


def tree_of(place):
    """path: (kind, mode, size or target)"""
    found = {}
    for above, folders, files in os.walk(os.fsencode(place)):
        for name in folders + files:
            path = os.path.join(above, name)
            st = os.lstat(path)
            what = (os.readlink(path) if stat.S_ISLNK(st.st_mode) else
                    None if stat.S_ISDIR(st.st_mode) else st.st_size)
            found[os.path.relpath(path, os.fsencode(place)).decode("utf-8", "surrogateescape")] = (
                stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), what)
    return found


def receive(t, stream, *options, dom0=False, env=None, place=None):
    place = place or tempfile.mkdtemp(dir=t.dir)
    if dom0:
        words = [DOM0 + "qfile-dom0-unpacker", str(os.getuid()), place, *options]
    else:
        words = [QUBE + "qfile-unpacker", *options, "", place]
    receiver = t.start(*words, env=env)
    try:
        receiver.write(stream)
    except BrokenPipeError:
        pass
    receiver.close_stdin()
    status = receiver.wait()
    return Received(status, receiver.stdout, receiver.stderr, place)


def copy(t, words, place, *options, env=None, cwd=None, through=None):
    """Sender and receiver joined by pipes. (sender, receiver)"""
    there_in, here_out = os.pipe()
    here_in, there_out = os.pipe()
    sender = t.start(QUBE + "qfile-agent", *words, env=env, stdin=here_in, stdout=here_out, cwd=cwd)
    receiver = t.start(through or QUBE + "qfile-unpacker", *options, "", place, stdin=there_in, stdout=there_out)
    for fd in (there_in, here_out, here_in, there_out):
        os.close(fd)
    return sender, receiver


def digest_of(place):
    """Everything that is the same after a copy."""
    found = {}
    for above, folders, files in os.walk(place):
        for name in folders + files:
            path = os.path.join(above, name)
            st = os.lstat(path)
            what = None
            if stat.S_ISLNK(st.st_mode):
                found[os.path.relpath(path, place)] = os.readlink(path)
                continue
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    what = hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(path, place)] = (st.st_mode, st.st_mtime_ns, what)
    return found
