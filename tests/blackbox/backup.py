# SPDX-License-Identifier: GPL-2.0-or-later
"""Imports and backups: the programs of dom0 with the real admin and storage services and real files."""

import glob
import io
import os
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from backup_common import KERNELS, PASS, System, need_scrypt, read_at, write_at
from harness import *

# If this failed, a volume could not be imported, or would be replaced by data that is not whole.
@case("admin.vm.volume.ImportWithSize: whole data counts; too little, too much, a bad size do not")
def _(t):
    s = System(t, "a")
    data = b"start" + bytes(300000) + b"end"
    size = b"%d\n" % len(data)
    equal(s.service(t, "admin.vm.volume.ImportWithSize", "work", "private", size + data), b"0\0")
    equal(read_at(s.private(), 0, 1 << 20), data)
    check("size=%d\n" % len(data) in s.admin.ok("admin.vm.volume.Info", "private", "work"))
    for body, text in ((size + data[:100], "not enough data (copied 100 bytes, expected %d bytes)" % len(data)),
                       (size + data + b"x", "too much data (expected %d bytes)" % len(data))):
        equal(s.service(t, "admin.vm.volume.ImportWithSize", "work", "private", body),
              b"2\0QubesException\0\0Data import failed: " + text.encode() + b"\0")
    check(s.service(t, "admin.vm.volume.ImportWithSize", "work", "private", b"12x\nabc").startswith(b"2\0ProtocolError\0"))
    equal(s.service(t, "admin.vm.volume.Import", "work", "nosuch", b""),
          b"2\0ProtocolError\0\0Argument not in work volumes\0")
    equal(s.service(t, "admin.vm.volume.Import", "work", "private", data), b"0\0")
    equal(read_at(s.private(), 0, 1 << 20), data)
    equal(glob.glob(s.private()[:-4] + "-import*"), [])


# If this failed, a clone would be told of without what it was made from, or a token would work twice.
@case("admin-api-023 CloneFrom, CloneTo: the data, the event with its source, the token once")
def _(t):
    s = System(t, "a")
    s.admin.ok("admin.vm.Create.AppVM", "deb", payload="name=vault label=black")
    write_at(s.private("vault"), 4096, b"of the vault")
    events = s.admin.events()
    token = s.admin.ok("admin.vm.volume.CloneFrom", "private", "vault")
    check(re.fullmatch(r"[A-Za-z0-9]{32}", token), token)
    s.admin.ok("admin.vm.volume.CloneTo", "private", "work", token)
    wanted = ["work", "domain-import-volume", {"name": "private", "source": "appvms/vault/private"}]
    check(events.wait(lambda got: wanted in got, 10), events.events)
    equal(read_at(s.private(), 4096, 12), b"of the vault")
    check(s.admin.call("admin.vm.volume.CloneTo", "private", "work", token).startswith(
        b"2\0QubesVolumeCopyTokenNotFoundError\0"))
    events.close()


# If this failed, a tree could not be brought into a qube, or a hostile archive would do more than that.
@case("admin.vm.volume.ImportWithSize of a tree takes a tar archive")
def _(t):
    s = System(t, "a")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("home/user/hello")
        info.size = 5
        folder = tarfile.TarInfo("home")
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o755
        tar.addfile(folder)
        folder.name = "home/user"
        tar.addfile(folder)
        tar.addfile(info, io.BytesIO(b"hello"))
    data = out.getvalue()
    equal(s.service(t, "admin.vm.volume.ImportWithSize", "tree", "private", b"%d\n" % len(data) + data), b"0\0")
    equal(read_at(s.tree() + "/home/user/hello", 0, 10), b"hello")
    answer = s.service(t, "admin.vm.volume.ImportWithSize", "tree", "private", b"9\nnot a tar")
    check(answer.startswith(b"2\0StoragePoolException\0"), answer)
    equal(read_at(s.tree() + "/home/user/hello", 0, 10), b"hello")


def backup(s, t, *names, args=()):
    with open(t.path("pass"), "w") as f:
        f.write(PASS + "\n")
    done = s.run("tools/backup/qvm-backup", "--yes", "--passphrase-file", t.path("pass"), *args,
                 t.path("backup"), *names)
    equal(done.returncode, 0, done)
    return t.path("backup")


def restore(s, t, archive, *args):
    return s.run("tools/backup/qvm-backup-restore", "--passphrase-file", t.path("pass"), *args, archive)


# If this failed, a backup would not bring back what was saved.
@case("core-model-027 a backup comes back: images with their holes, trees, settings; renamed where there is one")
def _(t):
    need_scrypt()
    s = System(t, "a")
    write_at(s.private(), 1 << 30, b"far away")
    write_at(s.private(), 0, os.urandom(5000) + b"near")
    near = read_at(s.private(), 0, 5004)
    os.symlink("/etc/passwd", s.tree() + "/home/user/link")
    with open(s.tree() + "/home/user/file", "wb") as f:
        f.write(b"of the tree")
    archive = backup(s, t)
    names = subprocess.run(["tar", "-tf", archive], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    equal(names[:3], ["backup-header", "backup-header.hmac", "qubes.xml.000.enc"])
    check(any(re.fullmatch(r"vm\d+/private\.img\.000\.enc", n) for n in names), names)
    check(any(re.fullmatch(r"vm\d+/private\.tree\.000\.enc", n) for n in names), names)
    check(s.admin.ok("admin.vm.property.Get", "backup_timestamp", "work").startswith("default=False"))
    equal(restore(s, t, archive, "--verify-only").returncode, 0)
    conflict = restore(s, t, archive)
    equal(conflict.returncode, 1)
    check(b"already" in conflict.stderr, conflict.stderr)
    done = restore(s, t, archive, "--rename-conflicting")
    equal(done.returncode, 0, done)
    equal(read_at(s.private("work1"), 0, 5004), near)
    equal(read_at(s.private("work1"), 1 << 30, 8), b"far away")
    check(os.stat(s.private("work1")).st_blocks < 4096, "holes stay holes")
    ok = s.admin.ok
    equal(ok("admin.vm.feature.Get", "vm-config.x", "work1"), "a < b & c")
    check("memory default=False type=int 555" in ok("admin.vm.property.GetAll", "", "work1"))
    check("template default=False type=vm deb1" in ok("admin.vm.property.GetAll", "", "work1"))
    tags = ok("admin.vm.tag.List", "", "work1").split()
    check("mine" in tags and "backup-restore-in-progress" not in tags, tags)
    equal(read_at(s.tree("tree1") + "/home/user/file", 0, 20), b"of the tree")
    equal(os.readlink(s.tree("tree1") + "/home/user/link"), "/etc/passwd")


# If this failed, a backup could be read without its passphrase, or a changed one be taken for good.
@case("a wrong passphrase, a cut archive, flipped bytes and exchanged parts are found")
def _(t):
    need_scrypt()
    s = System(t, "a")
    write_at(s.private(), 0, os.urandom(200000))
    archive = backup(s, t, "work", "deb", args=("--no-compress",))
    with open(archive, "rb") as f:
        good = f.read()
    bad = t.path("bad")

    def refused(data, text, password=PASS):
        with open(t.path("pass"), "w") as f:
            f.write(password + "\n")
        with open(bad, "wb") as f:
            f.write(data)
        done = restore(s, t, bad, "--verify-only")
        equal(done.returncode, 1, text)
        check(text.encode() in done.stderr, (text, done.stderr))

    refused(good, "wrong passphrase", "wrong")
    for cut in (100, 700, 3000, len(good) // 2, len(good) - 1500):
        refused(good[:cut], "")
    with tarfile.open(fileobj=io.BytesIO(good)) as tar:
        members = [(m.name, m.offset_data, m.size) for m in tar]
    for name, offset, size in members:
        flipped = bytearray(good)
        flipped[offset + size // 2] ^= 1
        refused(bytes(flipped), "")
    # A part of another place, under a name of its own: the passphrase has the name in it.
    swapped = bytearray(good)
    parts = [m for m in members if m[0].endswith("private.img.000.enc")]
    names = [good[m[1] - 512:m[1] - 412] for m in parts]
    check(len(parts) == 2)
    for (_, offset, _), name in zip(parts, reversed(names)):
        head = bytearray(swapped[offset - 512:offset])
        head[:100] = name
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        swapped[offset - 512:offset] = head
    refused(bytes(swapped), "")
    # The last qube left out, with a good end.
    refused(good[:parts[-1][1] - 512] + bytes(1024), "cut off")
    equal(restore(s, t, archive, "--verify-only").returncode, 0)


# If this failed, an archive could write outside of what it is restored to.
@case("hostile members of the outer archive are refused before anything is made")
def _(t):
    need_scrypt()
    s = System(t, "a")
    archive = backup(s, t, "work")
    with open(archive, "rb") as f:
        good = f.read()
    before = s.admin.ok("admin.vm.List")
    for name in ("../../x", "/etc/x", "vm1/../x.000.enc", "vm1/x", "vm1/private.img.1.enc", "qubes.xml.0000.enc"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            with tarfile.open(fileobj=io.BytesIO(good)) as old:
                for m in old:
                    if m.name.startswith("backup-header"):
                        tar.addfile(m, old.extractfile(m))
            info = tarfile.TarInfo(name)
            info.size = 10
            tar.addfile(info, io.BytesIO(b"0123456789"))
        with open(t.path("bad"), "wb") as f:
            f.write(out.getvalue())
        equal(restore(s, t, t.path("bad")).returncode, 1, name)
    equal(s.admin.ok("admin.vm.List"), before)


# If this failed, the backup of a running qube would hold half of what it was just writing.
@case("a running qube is saved as it was before its start; without snapshots it is refused")
def _(t):
    need_scrypt()
    s = System(t, "a")
    write_at(s.private(), 0, b"before")
    for version in KERNELS:
        with open(os.path.join(s.root, "var/lib/qubes/vm-kernels", version, "vmlinuz"), "wb"):
            pass
    s.admin.ok("admin.vm.Start", "", "work")
    write_at(s.private()[:-4] + "-dirty.img", 0, b"after!")
    archive = backup(s, t, "work")
    s.admin.ok("admin.vm.Kill", "", "work")
    equal(read_at(s.private(), 0, 6), b"after!")
    done = restore(s, t, archive, "--rename-conflicting")
    equal(done.returncode, 0, done)
    equal(read_at(s.private("work1"), 0, 6), b"before")
    s.admin.ok("admin.vm.volume.Set.revisions_to_keep", "private", "work", "-1")
    s.admin.ok("admin.vm.Start", "", "work")
    done = s.run("tools/backup/qvm-backup", "--yes", "--passphrase-file", t.path("pass"),
                 t.path("other"), "work")
    equal(done.returncode, 1)
    check(b"revisions_to_keep" in done.stderr, done.stderr)
    equal(glob.glob(t.path("other*")), [])


if __name__ == "__main__":
    main()
