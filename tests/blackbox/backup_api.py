# SPDX-License-Identifier: GPL-2.0-or-later
"""admin.backup.*: the real admin, storage and backup services; what they do to files, and what a caller is told."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from admin_common import BUILD, until
from backup_common import KERNELS, PASS, System, need_scrypt, write_at
from harness import *

PROFILE = """# every night
include: [work, deb]
exclude:
- deb
destination_vm: dom0
destination_path: %s
passphrase_text: '%s'
compression: no
"""


def profile(s, name, text):
    folder = os.path.join(s.root, "etc/qubes/backup")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".conf"), "w") as f:
        f.write(text)


def place(t, name="out"):
    folder = t.path(name)
    os.makedirs(folder, exist_ok=True)
    return folder


def fault(reply):
    check(reply.startswith(b"2\0"), reply)
    return tuple(word.decode() for word in reply[2:].split(b"\0")[0:3:2])


class Execution(threading.Thread):
    """admin.backup.Execute on its way."""

    def __init__(self, s, name):
        super().__init__(daemon=True)
        self.s, self.name_, self.reply = s, name, None
        self.start()

    def run(self):
        self.reply = self.s.admin.call("admin.backup.Execute", self.name_)

    def result(self):
        self.join(HANG)
        check(self.reply is not None, "no answer")
        return self.reply


def children(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                words = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(words[1]) == pid and words[0] != "Z":
            found.append(int(path.split("/")[2]))
    return found


def leads_group(pid):
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def operation(s):
    """The process of the operation that makes an archive, and the confined one below it, which leads a group: what
    a sanitizer starts to look for leaks at the end of a reader does not."""
    found = []

    def look():
        found[:] = [(p, c) for p in children(s.admin.backup.pid) for c in children(p) if leads_group(c)]
        return found
    until(look, "the process that makes the archive")
    return found[0]


def slow(s, t, mib=300):
    """A volume that takes seconds, so that there is a middle."""
    with open(s.private(), "r+b") as f:
        for _ in range(mib):
            f.write(os.urandom(1 << 20))
    profile(s, "slow", PROFILE % (place(t), PASS))


# If this failed, a backup by a profile would not be there, or not be the one that was asked for.
@case("admin-api-277 Execute makes the archive; progress, timestamp, files")
def _(t):
    need_scrypt()
    s = System(t, "a")
    write_at(s.private(), 0, b"of work")
    profile(s, "night", PROFILE % (place(t), PASS))
    events = s.admin.events()
    equal(s.admin.call("admin.backup.Execute", "night"), b"0\0")
    check(events.wait(lambda got: ["work", "backup-get-files", {}] in got, 10), events.events)
    events.close()
    files = os.listdir(t.path("out"))
    equal(len(files), 1, files)
    check(re.fullmatch(r"qubes-\d{4}-\d\d-\d\dT\d{6}", files[0]), files)
    archive = os.path.join(t.path("out"), files[0])
    equal(os.stat(archive).st_mode & 0o777, 0o600)
    names = subprocess.run(["tar", "-tf", archive], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    check(any("private.img.000.enc" in n for n in names), names)
    equal(len([n for n in names if n.startswith("vm")]), 1, names)
    check(s.admin.ok("admin.vm.property.Get", "backup_timestamp", "work").startswith("default=False"))
    check(not s.admin.ok("admin.vm.property.Get", "backup_timestamp", "deb").startswith("default=False"))
    with open(t.path("pass"), "w") as f:
        f.write(PASS + "\n")
    done = s.run("tools/backup/qvm-backup-restore", "--passphrase-file", t.path("pass"), "--verify-only", archive)
    equal(done.returncode, 0, done)


# If this failed, one profile could fill a disk twice at once, or a backup could not be stopped.
@case("admin-api-278 a profile that runs is not started again; Cancel ends it and leaves nothing")
def _(t):
    need_scrypt()
    s = System(t, "a")
    slow(s, t)
    events = s.admin.events()
    run = Execution(s, "slow")
    check(events.wait(lambda got: any(e[1] == "backup-progress" for e in got)), "no progress")
    event = next(e for e in events.events if e[1] == "backup-progress")
    equal((event[0], event[2]["backup_profile"]), ("", "slow"))
    check(0 <= float(event[2]["progress"]) <= 100, event)
    equal(fault(s.admin.call("admin.backup.Execute", "slow")), ("BackupAlreadyRunningError", "Backup already running"))
    parent, maker = operation(s)
    # Reads go on: nothing waits for the archive.
    begin = time.monotonic()
    s.admin.ok("admin.vm.List")
    check(time.monotonic() - begin < HANG / 4, "the service waits for the backup")
    equal(s.admin.call("admin.backup.Cancel", "slow"), b"0\0")
    equal(fault(run.result()), ("BackupCancelledError", "Backup cancelled"))
    until(lambda: not os.path.exists("/proc/%d" % maker), "the end of its process")
    equal(os.listdir(t.path("out")), [])
    equal(fault(s.admin.call("admin.backup.Cancel", "slow")), ("QubesException", "Backup operation not running"))
    check(not s.admin.ok("admin.vm.property.Get", "backup_timestamp", "work").startswith("default=False"))
    # The volume is free again.
    s.admin.ok("admin.vm.volume.Resize", "private", "work", "4294967296")
    events.close()


# If this failed, a backup that is not whole would pass for one, or its caller would wait for ever.
@case("kill -9 of any process of a backup: an error, and nothing is kept")
def _(t):
    need_scrypt()
    s = System(t, "a")
    slow(s, t)
    for which in (1, 0):
        run = Execution(s, "slow")
        pids = operation(s)
        until(lambda: children(pids[1]) or not os.path.exists("/proc/%d" % pids[1]), "its programs")
        os.kill(pids[which], signal.SIGKILL)
        kind, words = fault(run.result())
        equal(kind, "QubesException")
        check("nothing is kept" in words, words)
        for pid in pids:
            until(lambda pid=pid: not os.path.exists("/proc/%d" % pid) or state(pid) == "Z", "the end of its processes")
        equal(os.listdir(t.path("out")), [])
    # The service that starts them is gone: an answer all the same, and the next one is served by the next.
    run = Execution(s, "slow")
    operation(s)
    s.admin.backup.kill()
    s.admin.backup.wait(HANG)
    kind, words = fault(run.result())
    equal(kind, "QubesException")
    kind, words = fault(s.admin.call("admin.backup.Info", "slow"))
    equal(kind, "QubesException")
    check("backup service" in words, words)
    equal(os.listdir(t.path("out")), [])
    s.admin.start_backup()
    check(b"Total size" in s.admin.call("admin.backup.Info", "slow"))


def state(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


# If this failed, a mistake in a profile would be found by what was not saved.
@case("admin-api-276 profiles that are wrong, and why")
def _(t):
    s = System(t, "a")
    good = PROFILE % (place(t), PASS)

    def refused(text, kind, words, method="admin.backup.Execute", name="p"):
        profile(s, "p", text)
        got = fault(s.admin.call(method, name))
        equal(got[0], kind, got)
        check(words in got[1], got)

    refused(good.replace("include: [work, deb]\n", ""), "QubesException", "missing 'include'", "admin.backup.Info")
    refused(good.replace("destination_vm: dom0\n", ""), "QubesException", "missing 'destination_vm'")
    refused(good.replace("work", "nosuch"), "QubesVMNotFoundError", "No such domain: 'nosuch'")
    refused(good.replace("work", "$colour:red"), "QubesException", "unknown")
    refused(good.replace("compression: no", "compression: xz"), "QubesException", "line 8")
    refused(good.replace("compression: no", "passphrase_txt: x"), "QubesException", "no such key")
    refused(good.replace("dom0", "work"), "QubesVMNotRunningError", "'work'")
    refused(good.replace("include: [work, deb]", "include: [deb]"), "QubesException", "No qube is selected")
    refused(good.replace(t.path("out"), t.path("nosuch/x")), "QubesException", "No such file or directory")
    refused(good.replace(t.path("out"), "relative"), "QubesException", "must begin")
    refused(good.replace("passphrase_text: '%s'" % PASS, "passphrase_vm: dom0"), "QubesException", "passphrase_vm")
    refused(good.replace("[work, deb]", "[dom0]"), "QubesException", "dom0 has no home folder")
    existing = os.path.join(place(t), "there")
    with open(existing, "w") as f:
        f.write("precious")
    refused(good.replace(t.path("out"), existing), "QubesException", "File exists")
    with open(existing) as f:
        equal(f.read(), "precious")
    for name in ("nosuch", ".", "..", "x" * 300):
        refused(good, "QubesBackupProfileNotFoundError", "Backup profile does not exist: ", "admin.backup.Info", name)
    os.symlink("/etc/passwd", os.path.join(s.root, "etc/qubes/backup/link.conf"))
    equal(fault(s.admin.call("admin.backup.Info", "link"))[0], "QubesException")
    os.mkfifo(os.path.join(s.root, "etc/qubes/backup/fifo.conf"))
    equal(fault(s.admin.call("admin.backup.Info", "fifo"))[0], "QubesException")
    equal(os.listdir(t.path("out")), ["there"])


CLIENT = """#!/usr/bin/python3
import os, sys
assert sys.argv[1] == "-d" and sys.argv[2] == "work", sys.argv
user, service, source = sys.argv[3].split(" ")
assert user == "DEFAULT:QUBESRPC" and source == "dom0", sys.argv
mode = open(%(folder)r + "/mode").read()
if service == "qubes.BackupPassphrase+remote":
    assert sys.stdin.read() == ""
    sys.stdout.write({"two lines": "a\\nb\\n", "nothing": "", "long": "x" * 5000}.get(mode, %(word)r + "\\r\\n"))
    sys.exit(1 if mode == "status" else 0)
assert service == "qubes.Backup", sys.argv
path = sys.stdin.buffer.readline()
with open(%(folder)r + "/path", "wb") as f:
    f.write(path)
if mode == "ends":
    sys.exit(0)
print("chatter " * 1000)
data = sys.stdin.buffer.read()
if mode == "full":
    sys.exit(1)
with open(%(folder)r + "/stored", "wb") as f:
    f.write(data)
"""


# If this failed, a backup could not go to the qube with the disk, or its passphrase would stand in a file.
@case("admin-api-277 passphrase_vm and destination_vm: services of qubes, and what they may not say")
def _(t):
    need_scrypt()
    s = System(t, "a")
    folder = place(t, "qube")
    for version in KERNELS:
        with open(os.path.join(s.root, "var/lib/qubes/vm-kernels", version, "vmlinuz"), "wb"):
            pass
    # The program that joins dom0 to qubes stands beside the service; ours says what a qube would.
    programs = place(t, "programs")
    shutil.copy(os.path.join(BUILD, "services/backup/skerry-backup"), programs)
    with open(os.path.join(programs, "qrexec-client"), "w") as f:
        f.write(CLIENT % {"folder": folder, "word": PASS})
    os.chmod(os.path.join(programs, "qrexec-client"), 0o755)
    s.admin.backup.kill()
    s.admin.backup.wait(HANG)
    s.admin.start_backup(os.path.join(programs, "skerry-backup"))
    profile(s, "remote", "include: [deb, work]\ndestination_vm: work\ndestination_path: /media/disk\n"
            "passphrase_vm: work\n")

    def execute(mode):
        with open(os.path.join(folder, "mode"), "w") as f:
            f.write(mode)
        return s.admin.call("admin.backup.Execute", "remote")

    equal(fault(execute("")), ("QubesVMNotRunningError", "Domain not running (either powered off or paused): 'work'"))
    # More than a pipe takes: whoever does not read it is found.
    write_at(s.private(), 0, os.urandom(1 << 20))
    s.admin.ok("admin.vm.Start", "", "work")
    for mode in ("two lines", "nothing", "long", "status"):
        equal(fault(execute(mode)), ("QubesException", "work gave no passphrase of one line"), mode)
    check(not os.path.exists(os.path.join(folder, "path")), "nothing is sent without a passphrase")
    equal(fault(execute("ends"))[0], "QubesException")
    equal(fault(execute("full")), ("QubesException", "qubes.Backup in work says that it failed"))
    check(not s.admin.ok("admin.vm.property.Get", "backup_timestamp", "work").startswith("default=False"))
    equal(execute(""), b"0\0")
    with open(os.path.join(folder, "path")) as f:
        equal(f.read(), "/media/disk\n")
    with open(t.path("pass"), "w") as f:
        f.write(PASS + "\n")
    done = s.run("tools/backup/qvm-backup-restore", "--passphrase-file", t.path("pass"), "--verify-only",
                 os.path.join(folder, "stored"))
    equal(done.returncode, 0, done)


# If this failed, a backup of a qube that changes its volume in place would fail after hours, in the middle.
@case("a volume that a running qube changes in place is refused before anything is made")
def _(t):
    need_scrypt()
    s = System(t, "a")
    for version in KERNELS:
        with open(os.path.join(s.root, "var/lib/qubes/vm-kernels", version, "vmlinuz"), "wb"):
            pass
    profile(s, "tree", (PROFILE % (place(t), PASS)).replace("[work, deb]", "[tree]"))
    s.admin.ok("admin.vm.Start", "", "tree")
    kind, words = fault(s.admin.call("admin.backup.Execute", "tree"))
    equal(kind, "StoragePoolException")
    check("changed in place" in words, words)
    equal(os.listdir(t.path("out")), [])
    s.admin.ok("admin.vm.Kill", "", "tree")
    equal(s.admin.call("admin.backup.Execute", "tree"), b"0\0")
    equal(len(os.listdir(t.path("out"))), 1)


def settings(s):
    """All that a person can have set, as text."""
    admin, found = s.admin, {}
    kinds = ("pci", "block", "usb", "mic")
    for line in admin.ok("admin.vm.List").splitlines():
        name = line.split(" ")[0]
        if name == "dom0":
            continue
        values = [p for p in admin.ok("admin.vm.property.GetAll", "", name).splitlines()
                  if "default=False" in p and not re.match(r"(uuid|qid|dispid|backup_timestamp)\b", p)]
        found[name] = [line.split(" ")[1], sorted(values)]
        found[name].append({f: admin.ok("admin.vm.feature.Get", f, name)
                            for f in admin.ok("admin.vm.feature.List", "", name).split()})
        found[name].append(admin.ok("admin.vm.tag.List", "", name).split())
        found[name].append(admin.ok("admin.vm.firewall.Get", "", name))
        found[name].append(admin.ok("admin.vm.notes.Get", "", name))
        found[name].append([sorted(admin.ok("admin.vm.device.%s.Assigned" % k, "", name).split(" ")) for k in kinds])
        found[name].append([v for v in admin.ok("admin.vm.volume.Info", "private", name).splitlines()
                            if re.match("pool|size|revisions_to_keep|save_on_stop|rw", v)])
    return found


# If this failed, a restored system would differ from the one that was saved: a rule of a firewall might be lost.
@case("core-model-027 restored into a new system, everything is set as it was; dom0's home beside it")
def _(t):
    need_scrypt()
    s = System(t, "a", fill=False)
    home = os.path.join(s.root, "home/user")
    os.makedirs(home + "/Documents")
    with open(home + "/Documents/letter", "w") as f:
        f.write("dear all")
    os.symlink("letter", home + "/Documents/link")
    s.admin.stop()
    s.admin.start()
    ok = s.admin.ok
    ok("admin.label.Create", "pink", payload="0xff8080")
    ok("admin.vm.Create.TemplateVM", "", payload="name=deb label=black")
    ok("admin.property.Set", "default_template", payload="deb")
    # "a" comes first and refers to what comes later.
    for name, label in (("a", "pink"), ("dvm", "red"), ("net", "red"), ("work", "green")):
        ok("admin.vm.Create.AppVM", "deb", payload="name=%s label=%s" % (name, label))
    ok("admin.vm.property.Set", "provides_network", "net", "True")
    ok("admin.vm.property.Set", "netvm", "net", "")
    ok("admin.vm.property.Set", "netvm", "a", "net")
    ok("admin.vm.property.Set", "template_for_dispvms", "dvm", "True")
    ok("admin.vm.property.Set", "default_dispvm", "a", "dvm")
    ok("admin.vm.property.Set", "memory", "a", "555")
    ok("admin.vm.Create.DispVM", "dvm", payload="name=disp label=red")
    ok("admin.vm.feature.Set", "vm-config.x", "a", "<a> & 'b' \"c\"d")
    ok("admin.vm.feature.Set", "long", "a", "x" * 30000)
    ok("admin.vm.feature.Set", "empty", "a", "")
    ok("admin.vm.tag.Set", "mine", "a")
    rules = ("action=accept dsthost=example.org proto=tcp dstports=443-443 comment=the web only\n"
             "action=drop dst4=10.0.0.0/8\naction=accept proto=icmp icmptype=8\naction=accept specialtarget=dns\n"
             "action=drop\n")
    ok("admin.vm.firewall.Set", "", "a", rules)
    ok("admin.vm.notes.Set", "", "a", "first line\n\tsecond & <third>\n")
    ok("admin.vm.notes.Set", "", "work", "of work")
    ok("admin.vm.device.block.Assign", "net+sda1+_", "a", "mode='auto-attach' _read-only='True' _x='it\\'s'")
    ok("admin.vm.device.usb.Assign", "_+_+1234:abcd".replace(":", "+"), "work", "mode='ask-to-attach'")
    ok("admin.vm.volume.Set.revisions_to_keep", "private", "work", "3")
    ok("admin.vm.volume.Resize", "private", "work", "3221225472")
    want = settings(s)
    with open(t.path("pass"), "w") as f:
        f.write(PASS + "\n")
    done = s.run("tools/backup/qvm-backup", "--yes", "--passphrase-file", t.path("pass"), t.path("backup"),
                 "dom0", "a", "deb", "disp", "dvm", "net", "work")
    equal(done.returncode, 0, done)
    names = subprocess.run(["tar", "-tf", t.path("backup")], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    for pattern in (r"vm\d+/firewall\.xml\.000\.enc", r"vm\d+/notes\.txt\.000\.enc", r"vm\d+/empty\.000\.enc",
                    r"dom0-home/user\.000\.enc"):
        check(any(re.fullmatch(pattern, n) for n in names), (pattern, names))
    s.close()

    new = System(t, "b", fill=False)
    os.makedirs(t.path("home"))
    os.environ["HOME"] = t.path("home")
    done = new.run("tools/backup/qvm-backup-restore", "--passphrase-file", t.path("pass"), t.path("backup"))
    equal(done.returncode, 0, done)
    equal(done.stderr, b"")
    got = settings(new)
    equal(sorted(got), sorted(want))
    for name in want:
        equal(got[name], want[name], name)
    check("0xff8080" in new.admin.ok("admin.label.Get", "pink"))
    folder = glob.glob(t.path("home/home-restore-*"))
    equal(len(folder), 1, folder)
    with open(folder[0] + "/dom0-home/user/Documents/letter") as f:
        equal(f.read(), "dear all")
    equal(os.readlink(folder[0] + "/dom0-home/user/Documents/link"), "letter")


if __name__ == "__main__":
    main()
