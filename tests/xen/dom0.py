# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole system as a virtual machine: dom0's image on Xen in QEMU, with a disk that keeps its state, and its door
(image/door.c), through which commands of dom0 are run from here. Used by ./run xen and by the tests of this folder.
"""
import gzip
import hashlib
import hmac
import lzma
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import machine

FRAME = struct.Struct("<IB")
PIECE = 32768


class Closed(Exception):
    """The machine has ended, or nobody answers at its door."""


class Door:
    """One command at a time; a deadline for each."""

    def __init__(self, path, key):
        self.path, self.key = path, key
        self.sock, self.rest = None, b""

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock, self.rest = None, b""

    def send(self, kind, data=b""):
        self.sock.sendall(FRAME.pack(len(data) + 1, ord(kind)) + data)

    def take(self, deadline):
        """The next frame: (kind, bytes)."""
        while True:
            if len(self.rest) >= FRAME.size:
                size, kind = FRAME.unpack_from(self.rest)
                if len(self.rest) >= 4 + size:
                    data = self.rest[FRAME.size:4 + size]
                    self.rest = self.rest[4 + size:]
                    return chr(kind), data
            self.sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                more = self.sock.recv(65536)
            except (socket.timeout, TimeoutError):
                raise Closed("no answer in time") from None
            except OSError as error:
                raise Closed(str(error)) from None
            if not more:
                raise Closed("the machine has ended")
            self.rest += more

    def open(self, seconds):
        """Until somebody answers and has let us in."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.close()
            try:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.connect(self.path)
                self.send("h")
                # What was under way when we came is not for us.
                until = min(deadline, time.monotonic() + 5)
                kind, data = self.take(until)
                while kind != "n":
                    kind, data = self.take(until)
                self.send("a", hmac.new(self.key, data, hashlib.sha512).digest()[:32])
                kind, data = self.take(until)
                if kind == "y":
                    return
                raise Closed(data.decode("utf-8", "replace"))
            except (OSError, Closed):
                time.sleep(0.1)
        raise Closed("nobody answers at the door within %d s" % seconds)

    def run(self, *words, data=b"", seconds=120, output=None):
        """A command of dom0: (status, output, errors). @output: called with each piece, (kind, bytes)."""
        deadline = time.monotonic() + seconds
        said = {"o": b"", "e": b""}
        self.send("r", b"".join(w.encode() + b"\0" for w in words))
        for at in range(0, len(data), PIECE):
            self.send("i", data[at:at + PIECE])
        self.send("i")
        while True:
            try:
                kind, piece = self.take(deadline)
            except Closed:
                self.close()
                raise
            if kind == "x":
                return piece[0], said["o"], said["e"]
            if kind == "!":
                raise Closed(piece.decode("utf-8", "replace"))
            if kind in said:
                said[kind] += piece
                if output:
                    output(kind, piece)


class Dom0:
    """One machine. Its disk is made if it is not there."""

    def __init__(self, image, disk, memory=2304, dom0_memory=704, disk_size=8 << 30, cpu=machine.CPU):
        self.tmp = tempfile.mkdtemp(prefix="skerry-dom0-")
        self.disk, self.proc = disk, None
        self.console = os.path.join(self.tmp, "console")
        xen, key_file, path = (os.path.join(self.tmp, n) for n in ("xen", "key", "door"))
        with gzip.open(os.path.join(image, "xen.gz")) as f, open(xen, "wb") as out:
            shutil.copyfileobj(f, out)
        key = os.urandom(32)
        with open(os.open(key_file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(key)
        self.door = Door(path, key)
        if not os.path.exists(disk):
            machine.empty_disk(disk, disk_size)
        modules = "%s console=hvc0 quiet,%s" % (os.path.join(image, "vmlinuz"), os.path.join(image, "initramfs.gz"))
        self.command = [
            *machine.NICE, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", cpu, "-m", str(memory), "-display",
            "none", "-no-reboot", "-net", "none", "-kernel", xen, "-initrd", modules,
            "-append", "console=com1 com1=115200,8n1 noreboot dom0_mem=%dM,max:%dM dom0_max_vcpus=1" % (dom0_memory, dom0_memory),
            "-serial", "file:" + self.console, "-monitor", "none",
            "-drive", "file=%s,if=virtio,format=raw,cache=writethrough" % disk, "-fw_cfg", "name=opt/org.skerry/key,file=" + key_file,
            "-device", "virtio-serial-pci", "-chardev", "socket,id=door,path=%s,server=on,wait=off" % path,
            "-device", "virtserialport,chardev=door,name=skerry"]

    def start(self):
        self.proc = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        return self

    def wait_ready(self, seconds):
        """Until dom0's system answers: its monitor, the Admin API, everything that they start."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.proc.poll() is not None:
                raise Closed("QEMU ended with status %d" % self.proc.returncode)
            try:
                self.door.open(min(10, max(1, deadline - time.monotonic())))
                while time.monotonic() < deadline:
                    status, _, _ = self.door.run("qvm-ls", "--raw-list", seconds=deadline - time.monotonic())
                    if status == 0:
                        return
                    time.sleep(0.2)
            except Closed:
                continue
        raise Closed("the system was not ready within %d s" % seconds)

    def off(self, seconds=120):
        """An orderly end; whether it came."""
        try:
            self.door.run("poweroff", seconds=10)
        except (Closed, OSError):
            pass
        try:
            return self.proc.wait(timeout=seconds) == 0
        except subprocess.TimeoutExpired:
            return False

    def cut(self):
        """Its power, at once."""
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.door.close()

    def end(self):
        self.cut()
        shutil.rmtree(self.tmp, ignore_errors=True)

    def said(self, lines=60):
        return machine.Machine.read(self.console)[-lines:]


def quick_kernel(place):
    """The kernel unpacked: without hardware help the toolstack would take some seconds for it at each start."""
    out, kernel = os.path.join(place, "vmlinux"), os.path.join(place, "vmlinuz")
    with open(kernel, "rb") as f:
        data = f.read()
    digest = hashlib.sha256(data).hexdigest()
    if machine.Machine.read(out + ".of") == [digest]:
        return out
    at = data.find(b"\xfd7zXZ\0")
    if at >= 0:
        data = lzma.LZMADecompressor().decompress(data[at:])
    with open(out, "wb") as f:
        f.write(data)
    with open(out + ".of", "w", encoding="ascii") as f:
        f.write(digest + "\n")
    return out


def images(place, *more):
    """The qube's image, and dom0's, which holds it as the kernel "tiny"; where dom0's is."""
    here = os.path.join(machine.SOURCE, "tests", "xen")
    qube = machine.build(os.path.join(here, "qube.recipe"), os.path.join(place, "qube"))
    kernels = "/usr/share/skerry/vm-kernels/tiny/"
    options = os.path.join(qube, "kernelopts")
    with open(options, "w", encoding="ascii") as f:
        f.write("console=hvc0 quiet\n")
    return machine.build(os.path.join(machine.SOURCE, "image", "qemu.recipe"), os.path.join(place, "system"),
                         quick_kernel(qube) + ":" + kernels + "vmlinuz:644",
                         os.path.join(qube, "initramfs.gz") + ":" + kernels + "initramfs:644",
                         options + ":" + kernels + "default-kernelopts-common.txt:644", *more)
