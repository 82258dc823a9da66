# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, devices, backups and logs of other qubes would be taken for something they are not.
"""USB hooks on a folder that stands for sysfs, the helpers of backups, qubes.Log."""

import io
import tarfile

from services_common import *

POLICY = """
qubes.USB  *  work  sys-usb  allow
qubes.Log  *  work  sys-usb  allow
"""
QUBES = ("work", "sys-usb")
VHCI = "sys/devices/platform/vhci_hcd.0"
FREE = "hub port sta spd dev      sockfd local_busid\nhs  0000 004 000 00000000 000000 0-0\nss  0008 004 000 00000000 000000 0-0\n"


def put(sut, qube, name, content, mode=0o644):
    sut.folder("q", qube, os.path.dirname(name))
    return sut.write(f"q/{qube}/{name}", content, mode)


def read(sut, qube, name):
    with open(sut.inside(qube, name), encoding="ascii") as file:
        return file.read()


# If this failed, the kernel of a qube would be given a device that the other qube cannot have.
@services("services-012 USB: what the importing side takes of the line", qubes=QUBES, start=False)
def _(t, sut):
    put(sut, "work", VHCI + "/status", FREE.replace("0000 004", "0000 006"))
    tool, state = sut.inside("work", "usr/lib/qubes/usb-import"), sut.inside("work", "run/state")
    for line in (b"65538 481\n", b"4294967296 480\n", b"65538\n", b"", b"x 480\n", b"65538 480", b"65538 480 0\n",
                 b"0" * 40 + b" 480\n"):
        put(sut, "work", VHCI + "/attach", "")
        got = sut.run("work", tool, state, stdin=line)
        equal((got.returncode, read(sut, "work", VHCI + "/attach")), (1, ""), line)
        check(not os.path.exists(state), line)
    # A port for fast devices is free, the other one not.
    put(sut, "work", VHCI + "/attach", "")
    got = sut.run("work", tool, state, stdin=b"65538 480\n")
    check(got.returncode == 1 and b"no free port" in got.stderr, got.stderr)
    for busid, good in (("1-1", 0), ("2-1.4", 0), ("0x1d6b.0x0002", 0), ("../x", 1), ("1", 1), ("1-1;id", 1), ("", 1)):
        equal(sut.run("work", tool, "--check", busid).returncode, good, busid)


DATABASE = """#!/bin/sh
case ${0##*/} in
qubesdb-write) while [ $# -gt 0 ]; do printf 'write %s=%s\\n' "$1" "$2" >>"$HOME/database"; shift 2; done ;;
qubesdb-rm) for key; do printf 'rm %s\\n' "$key" >>"$HOME/database"; done ;;
esac
"""


def database(sut, name):
    """Commands of QubesDB that keep what they were told; the function gives it, and forgets it."""
    for command in ("qubesdb-write", "qubesdb-rm"):
        path = sut.inside(name, "usr/bin", command)
        if os.path.lexists(path):
            os.unlink(path)
        put(sut, name, "usr/bin/" + command, DATABASE, 0o755)
    path = sut.inside(name, "home/user/database")

    def told():
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
        os.unlink(path)
        return lines
    return told


# If this failed, dom0 would not know which devices a USB qube has, or a device could write what it likes into QubesDB.
@services("USB: what is plugged in is offered in QubesDB, whatever the device calls itself", qubes=QUBES, start=False)
def _(t, sut):
    told = database(sut, "sys-usb")
    offer = sut.inside("sys-usb", "usr/lib/qubes/offer-usb")
    device = "sys/bus/usb/devices/2-1.4"
    for name, content in (("idVendor", "046d\n"), ("idProduct", "c31c\n"), ("bDeviceClass", "00\n"), ("version", " 2.00\n"),
                          ("manufacturer", "A \x1b[31m/B\u00e9\n"), ("product", "x" * 500 + "\n"),
                          ("2-1.4:1.0/bInterfaceClass", "03\n"), ("2-1.4:1.0/bInterfaceSubClass", "01\n"),
                          ("2-1.4:1.0/bInterfaceProtocol", "01\n"), ("2-1.4:1.1/bInterfaceClass", "08\n"),
                          ("2-1.4:1.1/bInterfaceSubClass", "06\n"), ("2-1.4:1.1/bInterfaceProtocol", "50\n")):
        put(sut, "sys-usb", f"{device}/{name}", content)
    equal(sut.run("sys-usb", offer, "add", "2-1.4").returncode, 0)
    equal(told(), ["write /qubes-usb-devices/2-1_4/desc=046d:c31c A\\x20\\x1b\\x5b31m\\x2fB\\xc3\\xa9 " + "x" * 128 + " none",
                   "write /qubes-usb-devices/2-1_4/interfaces=:030101:080650:", "write /qubes-usb-devices/2-1_4/usb-ver=2",
                   "write /qubes-usb-devices="])
    equal(sut.run("sys-usb", offer, "remove", "2-1.4").returncode, 0)
    equal(told(), ["rm /qubes-usb-devices/2-1_4/", "write /qubes-usb-devices="])
    put(sut, "sys-usb", device + "/bDeviceClass", "09\n")
    equal((sut.run("sys-usb", offer, "add", "2-1.4").returncode, told()), (0, []), "a hub")
    for words in ((), ("add",), ("add", "usb1"), ("add", "../x"), ("add", "3-1"), ("eat", "2-1.4")):
        check(sut.run("sys-usb", offer, *words).returncode in (1, 2) and told() == [], words)


# If this failed, a USB stick could not be given to the qube that is to read it.
@services("USB: from qube to qube, on folders that stand for sysfs", qubes=QUBES, policy=POLICY)
def _(t, sut):
    os.unlink(sut.inside("sys-usb", "etc/qubes/rpc-config/qubes.USB"))  # no root here
    device, driver = "sys/bus/usb/devices/1-1", "sys/bus/usb/drivers/usbip-host"
    for name, content in (("busnum", "1\n"), ("devnum", "2\n"), ("speed", "480\n"), ("usbip_sockfd", ""),
                          ("usbip_status", "1\n"), ("idVendor", "1d6b\n"), ("idProduct", "0002\n")):
        put(sut, "sys-usb", f"{device}/{name}", content)
    for name in ("match_busid", "bind", "unbind"):
        put(sut, "sys-usb", f"{driver}/{name}", "")
    put(sut, "sys-usb", "sys/bus/usb/drivers/usb/bind", "")
    put(sut, "work", VHCI + "/attach", "")
    put(sut, "work", VHCI + "/detach", "")
    put(sut, "work", VHCI + "/status", FREE)
    state = sut.inside("work", "run/qubes/usb-import-sys-usb-1-1.state")
    told = database(sut, "sys-usb")
    for busid in ("1-1", "0x1d6b.0x0002"):
        call = sut.popen([sut.inside("work", "etc/qubes-rpc/qubes.USBAttach")], qube="work", stdin=subprocess.PIPE,
                         stderr=subprocess.PIPE)
        call.stdin.write(f"sys-usb {busid}\n".encode())
        call.stdin.close()
        wait_for(lambda: re.fullmatch(r"0 0 65538 3", read(sut, "work", VHCI + "/attach")), "attached")
        put(sut, "work", VHCI + "/status", FREE.replace("0000 004", "0000 006"))
        equal(call.wait(), 0, call.stderr.read())
        equal(read(sut, "sys-usb", device + "/usbip_sockfd"), "0")
        lines = []
        wait_for(lambda: lines.extend(told()) or len(lines) == 6, "what QubesDB is told")
        equal([line.partition("/x-pid=")[0] for line in lines],
              ["write /qubes-usb-devices/1-1/connected-to=work", "write /qubes-usb-devices/1-1", "write /qubes-usb-devices=",
               "rm /qubes-usb-devices/1-1/connected-to", "rm /qubes-usb-devices/1-1/x-pid", "write /qubes-usb-devices="])
        put(sut, "work", VHCI + "/attach", "")
        put(sut, "work", VHCI + "/status", FREE)
    got = sut.rpc("work", "qubes.USBAttach", stdin=b"sys-usb 1-1\n")
    check(got.returncode == 1 and b"already" in got.stderr, got.stderr)
    equal(sut.rpc("work", "qubes.USBDetach", stdin=b"sys-usb 1-1\n").returncode, 0)
    equal(read(sut, "work", VHCI + "/detach"), "0")
    check(not os.path.exists(state), "the state is left behind")
    equal(sut.rpc("work", "qubes.USBDetach", stdin=b"sys-usb 1-1\n").returncode, 1)
    equal(sut.rpc("sys-usb", "qubes.USBDetach", stdin=b"1-1\n").returncode, 0)
    equal(read(sut, "sys-usb", device + "/usbip_sockfd"), "-1")
    for line in (b"", b"sys-usb\n", b"sys-usb ../x\n", b"sys-usb 1-1 2\n"):
        equal(sut.rpc("work", "qubes.USBAttach", stdin=line).returncode, 1, line)
    for name in ("1-9", "1-1.1", "x"):
        equal(sut.call("work", "sys-usb", "qubes.USB+" + name).returncode, 1, name)


# If this failed, a backup would be cut, or a command of dom0 would be read by a shell a second time.
@services("Backup: to a folder and to a command, and where it is taken from", qubes=("work",), start=False)
def _(t, sut):
    data = os.urandom(100000)
    folder = sut.folder("q", "work", "home/user/backups")
    equal(sut.rpc("work", "qubes.Backup", stdin=folder.encode() + b"\n" + data).returncode, 0)
    names = os.listdir(folder)
    check(len(names) == 1 and re.fullmatch(r"qubes-backup-\d{4}-\d\d-\d\dT\d{6}", names[0]), names)
    with open(os.path.join(folder, names[0]), "rb") as file:
        check(file.read() == data, "the backup's bytes")
    copy = sut.inside("work", "home/user/copy")
    equal(sut.rpc("work", "qubes.Backup", stdin=f"dd of={copy} status=none\n".encode() + data).returncode, 0)
    with open(copy, "rb") as file:
        check(file.read() == data, "by a command")
    mark = sut.inside("work", "home/user/mark")
    sut.rpc("work", "qubes.Backup", stdin=f"echo $(touch {mark}) ; touch {mark}\n".encode())
    check(not os.path.exists(mark), "a shell read the command")
    for line in (b"", b"\n", b"/nosuch/program\n"):
        check(sut.rpc("work", "qubes.Backup", stdin=line).returncode != 0, line)
    os.unlink(sut.inside("work", "usr/lib/qubes/tar2qfile"))
    put(sut, "work", "usr/lib/qubes/tar2qfile", "#!/bin/sh\nprintf '%s|' \"$@\"\n[ \"$1\" = - ] && cat\nexit 0\n", 0o755)
    got = sut.rpc("work", "qubes.Restore", stdin=f"{copy}\nvm1/ *.x\n".encode())
    equal(got.stdout.decode(), f"{copy}|vm1/|*.x|")
    got = sut.rpc("work", "qubes.Restore", stdin=b"echo from a $HOME command\nvm1/\n")
    equal(got.stdout, b"-|vm1/|from a $HOME command\n")
    call = sut.popen([sut.inside("work", "etc/qubes-rpc/qubes.RegisterBackupLocation")], qube="work",
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    call.stdin.write(f"{copy}\n".encode())
    call.stdin.flush()
    name = call.stdout.readline().decode().strip()
    got = sut.rpc("work", "qubes.RestoreById", name, stdin=b"vm1/\n")
    equal((got.returncode, got.stdout.decode()), (0, f"{copy}|vm1/|"))
    for other in ("", "x", "1", "../../etc", name + "1", "1-" + name.split("-")[1], name + "-1"):
        equal(sut.rpc("work", "qubes.RestoreById", other, stdin=b"vm1/\n").returncode, 1, other)
    call.stdin.close()
    call.wait()
    equal(sut.rpc("work", "qubes.RestoreById", name, stdin=b"vm1/\n").returncode, 1, "the call ended")
    put(sut, "work", "home/user/.config/qubes-backup/daily.passphrase", "secret words\nmore\n")
    equal(sut.rpc("work", "qubes.BackupPassphrase", "daily").stdout, b"secret words\n")
    for profile in ("", "../x", "a b"):
        equal(sut.rpc("work", "qubes.BackupPassphrase", profile).returncode, 1, profile)


# If this failed, lines of one qube's log could be lost, forged in another's name, or drive a terminal.
@services("Log: lines of another qube, cleaned and acknowledged", qubes=QUBES, policy=POLICY)
def _(t, sut):
    kept = sut.inside("sys-usb", "home/user/log")
    put(sut, "sys-usb", "etc/qubes/log-backend", f"file://{kept}\n")
    lines = (b"hello\n", b"<3>bad\r\n", b"\n", b"\x1b[2Jescape \xe2\x80\xae\n", b"x" * 10000 + b"\n", b"last")
    got = sut.call("work", "sys-usb", "qubes.Log", b"".join(lines))
    equal((got.returncode, got.stdout), (0, b"OK\n" * 6))
    with open(kept, "rb") as file:
        text = file.read().split(b"\n")
    equal(text, [b"work <6> hello", b"work <3> bad", b"work <6> \\x1b[2Jescape \\xe2\\x80\\xae",
                 b"work <6> " + b"x" * 4096 + b"...", b"work <6> last", b""])
    put(sut, "sys-usb", "etc/qubes/log-backend", "stderr\n")
    got = sut.call("work", "sys-usb", "qubes.Log", b"to standard error\n")
    check(got.returncode == 0 and b"work <6> to standard error" in got.stderr, got)
    put(sut, "sys-usb", "etc/qubes/log-backend", "file://relative\n")
    equal(sut.call("work", "sys-usb", "qubes.Log", b"x\n").returncode, 1)


def archive(path, form, names):
    with tarfile.open(path, "w", format=form) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            elif name.endswith("@"):
                member.type, member.linkname = tarfile.SYMTYPE, "elsewhere"
            member.size = 0 if name[-1] in "/@" else len(name) * 1000
            member.mtime, member.mode = 1500000000, 0o640
            tar.addfile(member, io.BytesIO(name.encode() * 1000))


def restore(t, sut, request, limits=None, service="qubes.Restore", argument=None):
    """dom0's side: the service's output into dom0's receiver, whose answer goes back. (status, status there, tree)"""
    folder = t.path("restored")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    there = sut.popen([sut.inside("work", "etc/qubes-rpc", service), *([argument] if argument else [])], qube="work",
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    there.stdin.write(request.encode())
    there.stdin.flush()
    here = subprocess.run([os.path.join(BUILD, "tools/qfile-dom0-unpacker"), str(os.getuid()), folder], stdin=there.stdout,
                          stdout=there.stdin, env=dict(os.environ, **(limits or {})), timeout=HANG, check=False)
    there.stdout.close()
    there.stdin.close()
    tree = []
    for where, _, files in os.walk(folder):
        tree += [os.path.relpath(os.path.join(where, name), folder) for name in files]
        for name in files:
            # Without a mode it is not complete.
            if os.stat(os.path.join(where, name)).st_mode & 0o777 == 0:
                continue
            with open(os.path.join(where, name), "rb") as file:
                relative = os.path.relpath(os.path.join(where, name), folder)
                equal(file.read(), relative.encode() * 1000, relative)
    return there.wait(), here.returncode, sorted(tree)


# If this failed, a backup that lies in a qube could not be restored, or what nobody asked for would come.
@services("tar2qfile: a backup in a qube comes to dom0 as files, those that were asked for", qubes=("work", "other"))
def _(t, sut):
    long_name = "vm1/" + "/".join(["a-rather-long-folder-name"] * 8) + "/end"
    names = ["vm1/", "vm1/a", "vm1/deep/er/b", "vm1/deep/c", "vm1/link@", "vm10/x", "backup-header", "backup-header.hmac", long_name]
    files = [name for name in names if name[-1] not in "/@"]
    copy = sut.inside("work", "home/user/copy.tar")
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive(copy, form, names)
        os.chmod(copy, 0o644)
        for prefixes, wanted in (("vm1/", [n for n in files if n.startswith("vm1/")]), 
                                 ("backup-header vm10/", ["backup-header", "backup-header.hmac", "vm10/x"]), ("nosuch", []), ("", files)):
            if prefixes:
                equal(restore(t, sut, f"{copy}\n{prefixes}\n"), (0, 0, sorted(wanted)), (form, prefixes))
            equal(restore(t, sut, f"cat {copy}\n{prefixes}\n"), (0, 0, sorted(wanted)), (form, prefixes, "by a command"))
    # dom0 takes no more than it wants: no error of the qube.
    equal(restore(t, sut, f"{copy}\nbackup-header\n", {"UPDATES_MAX_FILES": "1"}), (0, 122, ["backup-header"]))
    status = restore(t, sut, f"{copy}\nvm1/\n", {"UPDATES_MAX_BYTES": "3000"})
    equal(status[:2], (0, 122), status)
    with open(copy, "rb") as file:
        whole = file.read()
    for cut in (0, 100, 512, 700, 1024, 3000, len(whole) // 2):
        sut.write("q/work/home/user/cut.tar", whole[:cut])
        got = restore(t, sut, f"{sut.inside('work', 'home/user/cut.tar')}\nvm1/\n")
        check(got[0] == 1 and got[1] in (118, 121) and set(got[2]) <= set(files) | {"vm1/a", "vm1/deep/er/b"}, (cut, got))
    sut.write("q/work/home/user/bad.tar", b"no archive at all" * 100)
    equal(restore(t, sut, f"{sut.inside('work', 'home/user/bad.tar')}\nvm1/\n"), (1, 121, []))


if __name__ == "__main__":
    main()
