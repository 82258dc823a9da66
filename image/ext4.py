# SPDX-License-Identifier: GPL-2.0-or-later
"""An ext4 file system in a file, made as an ordinary user, in which nothing depends on who made it, where or when.

mke2fs makes an empty one, and debugfs puts each file into it, in order, with the owner and times that it is told:
mke2fs -d would take the builder's user, the source's times, and the order in which its disk lists a folder.
"""
import os
import stat
import struct
import subprocess
import tempfile

FEATURES = "^has_journal,^resize_inode,^metadata_csum,^orphan_file,^metadata_csum_seed,uninit_bg"
OPTIONS = "hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard"
UUID = "5ee4e5c1-0000-4000-8000-%012x"
TIMES = ("ctime", "atime", "mtime", "crtime")
WRITTEN_AT = 1024 + 0x30  # the superblock's time of the last write


def run(command, epoch, text=None):
    env = dict(os.environ, E2FSPROGS_FAKE_TIME=str(epoch), TZ="UTC", LC_ALL="C",
               PATH="/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin"))
    r = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, check=False)
    # debugfs ends with 0 whatever happened; its first line of errors is its version.
    errors = [line for line in r.stderr.decode("utf-8", "replace").splitlines() if line and not line.startswith("debugfs 1.")]
    if r.returncode or errors:
        raise SystemExit("image: %s: %s" % (command[0], "; ".join(errors[:3]) or "status %d" % r.returncode))


def quoted(path):
    if '"' in path or "\n" in path:
        raise SystemExit("image: a name that debugfs cannot be told: %r" % path)
    return '"/%s"' % path


class Script:
    def __init__(self, folder):
        self.folder, self.lines, self.blobs = folder, [], {}

    def blob(self, data):
        """A host's file with these bytes: debugfs copies from one."""
        if data not in self.blobs:
            self.blobs[data] = os.path.join(self.folder, "%d" % len(self.blobs))
            with open(self.blobs[data], "wb") as f:
                f.write(data)
        return self.blobs[data]

    def add(self, path, mode, data, device, owner, epoch):
        name = quoted(path)
        if stat.S_ISDIR(mode):
            self.lines.append("mkdir " + name)
        elif stat.S_ISLNK(mode):
            self.lines.append('symlink %s "%s"' % (name, data.decode()))
        elif stat.S_ISREG(mode):
            self.lines.append("write %s %s" % (self.blob(data), name))
        else:
            folder, _, base = path.rpartition("/")
            self.lines += ['cd "/%s"' % folder, "mknod %s %s %d %d" % (base, "c" if stat.S_ISCHR(mode) else "b", *device), "cd /"]
        self.set(name, mode, owner, epoch)

    def set(self, name, mode, owner, epoch):
        if not stat.S_ISLNK(mode):
            self.lines.append("sif %s mode 0%o" % (name, mode))
        self.lines += ["sif %s uid %d" % (name, owner[0]), "sif %s gid %d" % (name, owner[1])]
        self.lines += ["sif %s %s @%d" % (name, field, epoch) for field in TIMES]


def make(archive, mib, path):
    """The archive's entries as a file system of this size."""
    epoch = archive.epoch
    uuid = UUID % (epoch & 0xFFFFFFFFFFFF)
    if os.path.exists(path):
        os.unlink(path)
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-U", uuid, "-L", "root", "-O", FEATURES,
         "-E", OPTIONS % uuid, path, "%dM" % mib], epoch)
    with tempfile.TemporaryDirectory(prefix="skerry-ext4-") as tmp:
        script = Script(tmp)
        for name in sorted(archive.entries):
            mode, data, device = archive.entries[name]
            script.add(name, mode, data, device, archive.owners.get(name, (0, 0)), epoch)
        script.set('"/"', stat.S_IFDIR | 0o755, (0, 0), epoch)
        script.set('"/lost+found"', stat.S_IFDIR | 0o700, (0, 0), epoch)
        commands = os.path.join(tmp, "commands")
        with open(commands, "w", encoding="utf-8") as f:
            f.write("\n".join(script.lines) + "\n")
        run(["debugfs", "-w", "-f", commands, path], epoch)
    with open(path, "r+b") as f:
        f.seek(WRITTEN_AT)
        f.write(struct.pack("<I", epoch))
