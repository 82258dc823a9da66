# SPDX-License-Identifier: GPL-2.0-or-later
"""skerry-storage through its socket: drivers, order, crashes, removal, what it refuses."""

import glob
import io
import os
import shutil
import signal
import stat
import tarfile
import time

from harness import *
from storage_common import *

MIB = 1 << 20


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def images(t, **more):
    s = Storage(t, **more)
    s.pool("p", FILE_REFLINK, t.path("pool"))
    return s


def trees(t, **more):
    s = Storage(t, **more)
    s.pool("d", DIRECTORY, t.path("trees"))
    return s


def cycle(s, vid, data, keep=1, pool="p"):
    """A start, a write to the start of the image, a stop."""
    started = s.do(START, pool, vid, ORIGIN, MIB, keep)
    with open(started.path, "r+b") as f:
        f.write(data)
    s.do(STOP, pool, vid, ORIGIN, MIB, keep)


# If this failed, core-model-013 would not hold: the state before a session could not be had back.
@case("core-model-013 private image: revisions 1, 2, 3 and only revisions_to_keep of them")
def _(t):
    s = images(t)
    vid = "appvms/work/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    for n, wanted in enumerate((["1"], ["1", "2"], ["2", "3"], ["3", "4"])):
        cycle(s, vid, b"%d" % n, keep=2)
        equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=2).parts, wanted)
    names = sorted(os.path.basename(p) for p in glob.glob(t.path("pool/appvms/work/*")))
    equal(len(names), 3)
    check(re.fullmatch(r"private\.img\.3@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", names[1]), names[1])
    equal(read(t.path("pool/appvms/work/private.img"))[:1], b"3")
    s.do(REVERT, "p", vid, ORIGIN, MIB, 2, revision="3")
    equal(read(t.path("pool/appvms/work/private.img"))[:1], b"1")
    equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=2).parts, ["4", "5"])
    s.refused(E_NO_REVISION, REVERT, "p", vid, ORIGIN, MIB, 2, revision="3")
    equal(s.close(), 0)


# If this failed, nobody would be told that an app qube runs on an old root.
@case("core-model-012 a template's stop makes its clients' roots outdated")
def _(t):
    s = images(t)
    root, snap = "vm-templates/deb/root", "appvms/work/root"
    s.do(CREATE, "p", root, ORIGIN, MIB)
    started = s.do(START, "p", snap, SNAPSHOT, MIB, source=root, source_pool="p")
    check(started.path.endswith("/appvms/work/root-dirty.img"))
    info = s.do(INFO, "p", snap, SNAPSHOT, MIB, source=root, source_pool="p")
    equal(info.flags & (OUTDATED | KNOWN), KNOWN)
    cycle(s, root, b"new")
    info = s.do(INFO, "p", snap, SNAPSHOT, MIB, source=root, source_pool="p")
    equal(info.flags & OUTDATED, OUTDATED)
    s.do(STOP, "p", snap, SNAPSHOT, MIB, source=root, source_pool="p")
    equal(glob.glob(t.path("pool/appvms/work/*")), [])


def crash(t, s, vid, machine):
    """The qube runs and writes, then the service, and perhaps the machine, is gone."""
    started = s.do(START, "p", vid, ORIGIN, MIB, 1)
    with open(started.path, "r+b") as f:
        f.write(b"written by the guest")
    marker = glob.glob(t.path("root/run/qubes/volume-running-*"))
    equal([os.path.basename(m) for m in marker], ["volume-running-p:appvms-work-private"])
    s.process.popen.kill()
    s.process.wait()
    s.sock.close()
    if machine:
        os.unlink(marker[0])
    s = images(t)
    answer = s.do(STOP, "p", vid, ORIGIN | RECOVER, MIB, 1)
    equal(glob.glob(t.path("root/run/qubes/volume-running-*")), [])
    equal(read(t.path("pool/appvms/work/private.img"))[:20], b"written by the guest")
    return s, answer


# If this failed, what a qube wrote before its host's daemon died would be lost.
@case("core-model-014 killed while a qube runs: its data is current, the state before is a revision")
def _(t):
    s = images(t)
    vid = "appvms/work/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    s, answer = crash(t, s, vid, machine=False)
    equal(answer.notes, [])
    equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=1).parts, ["1"])


# If this failed, a guest's repair of a half-written disk would be the only copy of it.
@case("after a crash of the machine its state is a revision of its own, and so is the one before")
def _(t):
    s = images(t)
    vid = "appvms/work/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    s, answer = crash(t, s, vid, machine=True)
    check("revision 2" in answer.notes[0] and "revision 1" in answer.notes[0], answer.notes)
    equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=1).parts, ["1", "2"])
    # Neither goes while ordinary ones come and go.
    for n in range(3):
        cycle(s, vid, b"later %d" % n)
    equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=1).parts, ["1", "2", "4"])
    s.do(REVERT, "p", vid, ORIGIN, MIB, 1, revision="2")
    equal(read(t.path("pool/appvms/work/private.img"))[:20], b"written by the guest")


# If this failed, an import that was broken off could replace good data, or block the qube.
@case("import into an image: ended well, thrown away, ended by a start")
def _(t):
    s = images(t)
    vid = "appvms/vault/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    begun = s.do(IMPORT_BEGIN, "p", vid, ORIGIN, 102400, 1)
    equal(begun.path, t.path("pool/appvms/vault/private-import.img"))
    equal((begun.size, os.stat(begun.path).st_size), (102400, 102400))
    write(begun.path, b"thrown away")
    s.do(IMPORT_END, "p", vid, ORIGIN, MIB, 1)
    equal(os.stat(t.path("pool/appvms/vault/private.img")).st_size, MIB)
    begun = s.do(IMPORT_BEGIN, "p", vid, ORIGIN, 102400, 1)
    write(begun.path, b"x" * 102400)
    equal(s.do(IMPORT_END, "p", vid, ORIGIN | OK, MIB, 1).size, 102400)
    equal(read(t.path("pool/appvms/vault/private.img")), b"x" * 102400)
    equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=1).parts, ["1"])
    s.do(IMPORT_BEGIN, "p", vid, ORIGIN, 102400, 1)
    cycle(s, vid, b"y")
    refused = s.refused(E_MISSING, IMPORT_END, "p", vid, ORIGIN | OK, MIB, 1)
    check("started meanwhile" in refused.text, refused.text)
    equal(read(t.path("pool/appvms/vault/private.img"))[:2], b"yx")


# If this failed, a running qube's disk would be exchanged under it.
@case("a volume in use is not imported to, cleared, reverted or cloned to; what is not kept is refused")
def _(t):
    s = images(t)
    vid = "appvms/work/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    s.do(START, "p", vid, ORIGIN, MIB, 1)
    s.refused(E_IN_USE, START, "p", vid, ORIGIN, MIB, 1)
    s.refused(E_IN_USE, IMPORT_BEGIN, "p", vid, ORIGIN, MIB, 1)
    s.refused(E_IN_USE, CLEAR, "p", vid, ORIGIN, MIB, 1)
    s.refused(E_IN_USE, REVERT, "p", vid, ORIGIN, MIB, 1, revision="1")
    s.refused(E_IN_USE, CLONE, "p", vid, ORIGIN, MIB, 1, source=vid + "2", source_pool="p")
    s.refused(E_UNSUPPORTED, CLEAR, "p", "appvms/work/volatile", FRESH, MIB)
    s.refused(E_MISSING, START, "p", "appvms/none/private", ORIGIN, MIB)
    s.refused(E_MISSING, START, "p", "appvms/none/root", SNAPSHOT, MIB, source="vm-templates/no/root",
              source_pool="p")
    s.refused(E_NO_POOL, INFO, "nosuch", vid, ORIGIN)
    s.refused(E_EXISTS, CREATE, "p", vid, ORIGIN, MIB)


# If this failed, sizes told would be wrong or data lost with a resize.
@case("resize of an image at rest and in use; a revision keeps its own size")
def _(t):
    s = images(t)
    vid = "appvms/work/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    cycle(s, vid, b"one")
    equal(s.do(RESIZE, "p", vid, ORIGIN, 3 * MIB, 1).size, 3 * MIB)
    equal(os.stat(t.path("pool/appvms/work/private.img")).st_size, 3 * MIB)
    s.do(START, "p", vid, ORIGIN, 3 * MIB, 1)
    s.do(RESIZE, "p", vid, ORIGIN, 5 * MIB, 1)
    s.do(STOP, "p", vid, ORIGIN, 5 * MIB, 1)
    info = s.do(INFO, "p", vid, ORIGIN, 5 * MIB, 1)
    equal(info.size, 5 * MIB)
    s.do(REVERT, "p", vid, ORIGIN, 5 * MIB, 1, revision="2")
    equal(s.do(INFO, "p", vid, ORIGIN, 5 * MIB, 1).size, 3 * MIB)


# If this failed, revisions_to_keep -1 would either keep copies or write into other volumes' data.
@case("revisions_to_keep -1: the image is used in place, and nothing shares it then")
def _(t):
    s = images(t)
    vid, snap = "appvms/work/private", "appvms/disp1/private"
    s.do(CREATE, "p", vid, ORIGIN, MIB)
    s.do(START, "p", snap, SNAPSHOT, MIB, source=vid, source_pool="p")
    started = s.do(START, "p", vid, ORIGIN, MIB, -1)
    equal(started.path, t.path("pool/appvms/work/private.img"))
    write(started.path, b"in place")
    s.do(STOP, "p", vid, ORIGIN, MIB, -1)
    equal(read(t.path("pool/appvms/work/private.img")), b"in place")
    equal(read(t.path("pool/appvms/disp1/private.img"))[:8], b"\0" * 8)
    equal(s.do(REVISIONS, "p", vid, ORIGIN, keep=-1).parts, [])


# If this failed, a pool would fill up with what was removed, or its removal would be somebody's wait.
@case("removal: out of sight at once, gone later, however deep and locked the tree is; no other volume")
def _(t):
    s = trees(t)
    vid = "appvms/work/private"
    s.do(CREATE, "d", vid, ORIGIN, MIB)
    s.do(CREATE, "d", "appvms/work/private2", ORIGIN, MIB)
    started = s.do(START, "d", vid, ORIGIN, MIB)
    here = os.open(started.path, os.O_RDONLY)
    for n in range(3000):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        if n % 10 == 5:
            os.symlink("/etc/passwd", "link", dir_fd=below)
            os.fchmod(here, 0o555)
        os.close(here)
        here = below
    os.close(here)
    os.mkdir(started.path + "/locked")
    write(started.path + "/locked/file", b"x")
    os.chmod(started.path + "/locked", 0)
    s.do(STOP, "d", vid, ORIGIN, MIB)
    s.do(REMOVE, "d", vid, ORIGIN)
    equal(os.listdir(t.path("trees/appvms/work")), ["private2"])
    wait_for(lambda: not os.listdir(t.path("trees/.skerry-trash")), "an empty trash")
    s.do(REMOVE, "d", vid, ORIGIN)
    i = images(t)
    for name in ("root", "root2"):
        i.do(CREATE, "p", "appvms/x/" + name, ORIGIN, MIB)
    i.do(REMOVE, "p", "appvms/x/root", ORIGIN)
    equal(os.listdir(t.path("pool/appvms/x")), ["root2.img"])
    equal(os.stat("/etc/passwd").st_mode & 0o777, 0o644)


# If this failed, a qube's files would lose names, modes, times or links on their way.
@case("a tree is cloned with modes, times, links of both kinds, FIFOs, holes and attributes")
def _(t):
    s = trees(t)
    a, b = "appvms/a/private", "appvms/b/private"
    for vid in (a, b):
        s.do(CREATE, "d", vid, ORIGIN, MIB)
    top = s.do(START, "d", a, ORIGIN, MIB).path
    check(os.path.isdir(top + "/home/user") and os.path.isdir(top + "/config"))
    home = top + "/home/user"
    write(home + "/file", b"data")
    os.utime(home + "/file", ns=(1, 1234567890123456789))
    os.chmod(home + "/file", 0o4751)
    os.link(home + "/file", home + "/again")
    os.symlink("/etc/shadow", home + "/out")
    os.mkfifo(home + "/fifo")
    write(home + "/unreadable", b"u")
    os.chmod(home + "/unreadable", 0)
    with open(home + "/holes", "wb") as f:
        f.truncate(64 * MIB)
        f.seek(32 * MIB)
        f.write(b"middle")
    try:
        os.setxattr(home + "/file", "user.a", b"b\0c")
        attributes = True
    except OSError:
        attributes = False
    os.mkdir(home + "/closed")
    write(home + "/closed/in", b"i")
    os.chmod(home + "/closed", 0o300)
    s.do(STOP, "d", a, ORIGIN, MIB)
    path = s.do(CLONE, "d", b, ORIGIN, MIB, source=a, source_pool="d").path + "/home/user"
    equal(os.stat(path + "/file").st_mtime_ns, 1234567890123456789)
    equal(stat.S_IMODE(os.stat(path + "/file").st_mode), 0o4751)
    equal(os.stat(path + "/file").st_ino, os.stat(path + "/again").st_ino)
    equal(os.readlink(path + "/out"), "/etc/shadow")
    check(stat.S_ISFIFO(os.stat(path + "/fifo").st_mode))
    equal(stat.S_IMODE(os.stat(path + "/unreadable").st_mode), 0)
    equal(stat.S_IMODE(os.stat(path + "/closed").st_mode), 0o300)
    equal(stat.S_IMODE(os.stat(home + "/closed").st_mode), 0o300)
    holes = os.stat(path + "/holes")
    equal(holes.st_size, 64 * MIB)
    check(holes.st_blocks * 512 < MIB, "holes stay holes")
    if attributes:
        equal(os.getxattr(path + "/file", "user.a"), b"b\0c")
    os.chmod(path + "/closed", 0o700)
    equal(read(path + "/closed/in"), b"i")


# If this failed, an update of a template would change the system under its running qubes.
@case("a template's tree: qubes keep the state they started with; it goes when the last one stops")
def _(t):
    s = trees(t)
    root, snap = "vm-templates/deb/root", "appvms/work/root"
    of = {"source": root, "source_pool": "d"}
    s.do(CREATE, "d", root, ORIGIN, MIB)
    up = s.do(START, "d", root, ORIGIN | SHARED, MIB)
    write(up.path + "/version", b"1")
    s.do(STOP, "d", root, ORIGIN | SHARED, MIB)
    one = s.do(START, "d", snap, SNAP, MIB, **of)
    equal((read(one.path + "/version"), one.flags & READ_ONLY), (b"1", READ_ONLY))
    up = s.do(START, "d", root, ORIGIN | SHARED, MIB)
    write(up.path + "/version", b"2")
    equal(read(one.path + "/version"), b"1")
    s.do(STOP, "d", root, ORIGIN | SHARED, MIB)
    equal(read(one.path + "/version"), b"1")
    equal(s.do(INFO, "d", snap, SNAP, MIB, **of).flags & OUTDATED, OUTDATED)
    s.do(STOP, "d", snap, SNAP, MIB, **of)
    two = s.do(START, "d", snap, SNAP, MIB, **of)
    equal(read(two.path + "/version"), b"2")
    equal(s.do(INFO, "d", snap, SNAP, MIB, **of).flags & OUTDATED, 0)
    # A snapshot that writes is a copy of its own.
    private = s.do(START, "d", "appvms/disp1/private", SNAPSHOT, MIB, **of)
    write(private.path + "/version", b"mine")
    equal(read(two.path + "/version"), b"2")
    s.do(STOP, "d", "appvms/disp1/private", SNAPSHOT, MIB, **of)
    equal(os.listdir(t.path("trees/appvms/disp1")), [])
    up = s.do(START, "d", root, ORIGIN | SHARED, MIB)
    s.do(STOP, "d", root, ORIGIN | SHARED, MIB)
    check(not os.path.exists(one.path), "the first state is gone")
    check(os.path.exists(two.path))


# If this failed, a tree could not be backed up safely: from a moving qube, or removed while it is read.
@case("a tree in place is not copied from while it runs; one with revisions gives the state before")
def _(t):
    s = trees(t)
    a, b = "appvms/a/private", "appvms/b/private"
    for vid in (a, b):
        s.do(CREATE, "d", vid, ORIGIN, MIB)
    s.do(START, "d", a, ORIGIN, MIB)
    refused = s.refused(E_IN_USE, CLONE, "d", b, ORIGIN, MIB, source=a, source_pool="d")
    check("revisions_to_keep" in refused.text)
    s.refused(E_IN_USE, EXPORT, "d", a, ORIGIN, MIB)
    s.do(STOP, "d", a, ORIGIN, MIB)
    up = s.do(START, "d", a, ORIGIN, MIB, 1)
    write(up.path + "/during", b"x")
    export = s.do(EXPORT, "d", a, ORIGIN, MIB, 1)
    check(not os.path.exists(export.path + "/during"))
    s.do(STOP, "d", a, ORIGIN, MIB, 0)
    check(os.path.exists(export.path + "/config"), "held while it is read")
    s.do(EXPORT_END, "d", a, ORIGIN, MIB, 0)
    check(not os.path.exists(export.path))


def archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                info.linkname = data
                info.mode = 0o755
                tar.addfile(info)
    return out.getvalue()


def import_tree(s, vid, data, ok=True):
    begun = s.do(IMPORT_BEGIN, "d", vid, ORIGIN, len(data))
    write(begun.path, data)
    return s.ask(IMPORT_END, "d", vid, ORIGIN | (OK if ok else 0), MIB)


# If this failed, whoever may import a volume could write anywhere on the host.
@case("import of a tree: an archive becomes the volume; hostile ones are refused and leave it as it is")
def _(t):
    s = trees(t)
    vid = "appvms/v/private"
    s.do(CREATE, "d", vid, ORIGIN, MIB)
    good = archive(("./", tarfile.DIRTYPE, ""), ("./home", tarfile.DIRTYPE, ""),
                   ("home/" + "n" * 200, tarfile.REGTYPE, b"long"),
                   ("link", tarfile.SYMTYPE, "/etc/passwd"), ("hard", tarfile.LNKTYPE, "home/" + "n" * 200))
    done = import_tree(s, vid, good)
    equal(done.kind, DONE, done)
    equal(read(done.path + "/home/" + "n" * 200), b"long")
    equal(os.readlink(done.path + "/link"), "/etc/passwd")
    outside = t.path("outside")
    os.mkdir(outside)
    for hostile in (
            archive(("../../../../../../outside/x", tarfile.REGTYPE, b"!")),
            archive((outside + "/x", tarfile.REGTYPE, b"!")),
            archive(("a", tarfile.SYMTYPE, outside), ("a/x", tarfile.REGTYPE, b"!")),
            archive(("a", tarfile.SYMTYPE, outside), ("a", tarfile.DIRTYPE, ""), ("a/x", tarfile.REGTYPE, b"!")),
            archive(("x", tarfile.LNKTYPE, "../../current")), archive(("x", tarfile.LNKTYPE, "/etc/passwd")),
            good[:700], good[:2000], b"\xff" * 2048, b"not an archive" * 100):
        answer = import_tree(s, vid, hostile)
        if answer.kind == DONE:
            check(os.path.isdir(answer.path + "/a") and not os.path.islink(answer.path + "/a"))
        else:
            equal(answer.code, E_BAD_DATA, answer)
        equal(os.listdir(outside), [])
    equal([n for n in os.listdir(t.path("trees/appvms/v/private")) if n in ("new", "next", "import.tar")], [])


# If this failed, a qube could be given a pool's other files, or a path of the host.
@case("malformed packets end the service; names that lead elsewhere are malformed")
def _(t):
    for vid in ("../x", "a//b", "/etc", "a/../b", ".skerry-trash/x", "a/b/c/d/e", "a/", ""):
        s = trees(t)
        s.send(START, "d", vid, ORIGIN)
        equal(s.sock.recv(100), b"", vid)
        equal(s.close(), 0)


# If this failed, two requests on one volume would mix, or one slow request would stop all others.
@case("requests on one volume run in their order, others beside them; a waiting one can be cancelled")
def _(t):
    s = images(t)
    vid = "appvms/work/private"
    s.do(CREATE, "p", vid, ORIGIN, 64 * MIB)
    write(t.path("pool/appvms/work/private.img"), os.urandom(64 * MIB))
    s.do(CREATE, "p", "appvms/other/private", ORIGIN, MIB)
    s.do(CREATE, "p", "appvms/copy/private", ORIGIN, MIB)
    first = s.send(CLONE, "p", "appvms/copy/private", ORIGIN, MIB, 1, source=vid, source_pool="p")
    waiting = s.send(START, "p", vid, ORIGIN, 64 * MIB, 1)
    other = s.send(START, "p", "appvms/other/private", ORIGIN, MIB, 1)
    given_up = s.send(STOP, "p", vid, ORIGIN, 64 * MIB, 1)
    cancel = s.send(CANCEL, size=given_up)
    equal(s.wait(cancel).kind, DONE)
    equal(s.wait(given_up).code, E_CANCELLED)
    for serial in (first, waiting, other):
        equal(s.wait(serial).kind, DONE)


# If this failed, a clone that is given up would leave half a volume or a service that waits for ever.
@case("a clone that is cancelled leaves what was there")
def _(t):
    s = images(t)
    for vid in ("appvms/a/private", "appvms/b/private"):
        s.do(CREATE, "p", vid, ORIGIN, MIB)
    write(t.path("pool/appvms/a/private.img"), os.urandom(128 * MIB))
    serial = s.send(CLONE, "p", "appvms/b/private", ORIGIN, MIB, 1, source="appvms/a/private", source_pool="p")
    s.do(CANCEL, size=serial)
    answer = s.wait(serial)
    if answer.kind == FAILED:
        equal(answer.code, E_CANCELLED)
        equal(os.stat(t.path("pool/appvms/b/private.img")).st_size, MIB)
    cycle(s, "appvms/b/private", b"goes on")


# If this failed, a qube could not have its kernel, or the host's own system as its root.
@case("kernels and the host's own system: read-only, listed, verified; a kernel's marker is counted")
def _(t):
    s = Storage(t)
    os.makedirs(t.path("kernels/6.12.1-1.fc41"))
    s.pool("k", LINUX_KERNEL, t.path("kernels"))
    s.pool("h", HOST, "")
    s.refused(E_MISSING, VERIFY, "k", "6.12.1-1.fc41")
    write(t.path("kernels/6.12.1-1.fc41/vmlinuz"), b"k")
    s.do(VERIFY, "k", "6.12.1-1.fc41")
    equal(s.do(START, "k", "6.12.1-1.fc41").medium, M_NONE)
    write(t.path("kernels/6.12.1-1.fc41/modules.img"), b"m" * 10)
    info = s.do(START, "k", "6.12.1-1.fc41")
    equal((info.medium, info.size, info.path), (M_FILE, 10, t.path("kernels/6.12.1-1.fc41/modules.img")))
    equal(s.do(POOL_LIST, "k").parts, ["6.12.1-1.fc41"])
    marker = t.path("root/run/qubes/volume-running-k:6.12.1--1.fc41")
    check(os.path.exists(marker))
    s.do(STOP, "k", "6.12.1-1.fc41")
    check(os.path.exists(marker), "the other qube still has it")
    s.do(STOP, "k", "6.12.1-1.fc41")
    check(not os.path.exists(marker))
    s.refused(E_UNSUPPORTED, RESIZE, "k", "6.12.1-1.fc41", size=MIB)
    root = s.do(START, "h", "vm-templates/host/root", ORIGIN)
    equal((root.medium, root.path, root.flags & READ_ONLY), (M_HOST, "/usr", READ_ONLY))


# If this failed, a pool that can only copy would be taken for one that shares blocks.
@case("setup_check refuses a file system without reflinks, and says what to do")
def _(t):
    s = Storage(t)
    answer = s.ask(POOL_SETUP, "p", driver=FILE_REFLINK, directory=t.path("new/pool"), flags=SETUP_CHECK)
    if answer.kind == FAILED:
        equal(answer.code, E_UNSUPPORTED)
        check("setup_check=no" in answer.text)
    s.pool("p", FILE_REFLINK, t.path("new/pool"))
    s.do(POOL_INFO, "p")
    check(s.do(POOL_INFO, "p").size > 0)
    s.do(CREATE, "p", "appvms/a/private", ORIGIN, MIB)
    equal(s.do(POOL_LIST, "p").parts, ["appvms/a/private"])
    s.do(POOL_FORGET, "p")
    s.refused(E_NO_POOL, POOL_INFO, "p")
    check(os.path.exists(t.path("new/pool/appvms/a/private.img")))


# If this failed, a killed worker would hang its caller, or take the service with it.
@case("a worker that is killed is a failed request, and the volume is whole")
def _(t):
    s = images(t)
    for vid in ("appvms/a/private", "appvms/b/private"):
        s.do(CREATE, "p", vid, ORIGIN, MIB)
    write(t.path("pool/appvms/a/private.img"), os.urandom(256 * MIB))
    serial = s.send(CLONE, "p", "appvms/b/private", ORIGIN, MIB, 1, source="appvms/a/private", source_pool="p")

    def workers():
        try:
            with open("/proc/%d/task/%d/children" % (s.process.pid, s.process.pid)) as f:
                return [int(p) for p in f.read().split()]
        except OSError:
            raise Skip("this kernel does not list children")
    for pid in wait_for(workers, "a worker"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    answer = s.wait(serial)
    if answer.kind == FAILED:
        equal(answer.code, E_IO)
        equal(os.stat(t.path("pool/appvms/b/private.img")).st_size, MIB)
    s.do(CLONE, "p", "appvms/b/private", ORIGIN, MIB, 1, source="appvms/a/private", source_pool="p")


# If this failed, one question that kills its worker would leave a pool without answers.
@case("the worker that stays for a pool is killed: what it did fails, the next question is answered")
def _(t):
    s = images(t)
    s.do(CREATE, "p", "appvms/a/private", ORIGIN, MIB)
    for _ in range(3):
        s.do(INFO, "p", "appvms/a/private", ORIGIN, MIB)
        try:
            with open("/proc/%d/task/%d/children" % (s.process.pid, s.process.pid)) as f:
                children = [int(p) for p in f.read().split()]
        except OSError:
            raise Skip("this kernel does not list children")
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        many = [s.send(INFO, "p", "appvms/a/private", ORIGIN, MIB) for _ in range(50)]
        answers = [s.wait(serial) for serial in many]
        check(sum(a.kind == FAILED for a in answers) <= 2, answers)
    equal(s.close(), 0)


# If this failed, the admin service's first questions would be lost, or the service would wait for ever.
@case("a pool that changes or goes while its worker stays; the end of the admin service ends all")
def _(t):
    s = images(t)
    s.do(CREATE, "p", "appvms/a/private", ORIGIN, MIB)
    s.do(INFO, "p", "appvms/a/private", ORIGIN, MIB)
    s.pool("p", FILE_REFLINK, t.path("other"))
    equal(s.do(INFO, "p", "appvms/a/private", ORIGIN, 5).size, 5)
    s.pool("p", FILE_REFLINK, t.path("pool"))
    equal(s.do(INFO, "p", "appvms/a/private", ORIGIN, 5).size, MIB)
    s.do(POOL_FORGET, "p")
    pid = s.process.pid
    equal(s.close(), 0)
    check(not os.path.exists("/proc/%d" % pid))


if __name__ == "__main__":
    main()
