# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots an image of image/build on Xen in QEMU, without hardware help, and gives back what the test inside said."""
import fcntl
import gzip
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.environ.get("SKERRY_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TREE = os.environ.get("SKERRY_BUILD") or os.path.join(SOURCE, "build", "release")
# With this processor Xen has SVM and nested paging, so that PV and PVH qubes run; "max" crashes dom0's kernel.
CPU = "qemu64,+svm,+npt,+ssse3,+sse4.1,+sse4.2"
CPU_WITHOUT_HVM = "qemu64,-svm,+ssse3,+sse4.1,+sse4.2"
PORT = "/dev/vport0p1"
# Others use the machine as well; NICE=0 where nobody does.
NICE = ["nice"] if os.environ.get("NICE", "1") != "0" else []


class NoPackages(Exception):
    """They are not in the cache, and there is no way to get them."""


def why_not():
    """Why no machine can be started here; empty if one can."""
    for program in ("qemu-system-x86_64", "dpkg-deb", "apt-get", "strip"):
        if not shutil.which(program):
            return program + " is missing"
    if not os.path.exists(os.path.join(TREE, "tests", "xen", "xen-dom0-test")):
        return "Xen's libraries (libxen-dev) were missing when this was built"
    return ""


def build(recipe, output, *more, disk=None):
    """disk: MiB of a root for qubes, which is made then and no archive. Tests that run at once share some images."""
    os.makedirs(output, exist_ok=True)
    with open(output + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_alone(recipe, output, *more, disk=disk)


def build_alone(recipe, output, *more, disk=None):
    command = [sys.executable, os.path.join(SOURCE, "image", "build"), recipe, "--tree", TREE, "--output", output,
               "--level", "0"] + ["--add=" + m for m in more] + (["--disk", str(disk)] if disk else [])
    status = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    if status == 3:
        raise NoPackages
    if status:
        raise SystemExit("%s: image/build ended with %d" % (recipe, status))
    return output


def empty_disk(path, size=600 << 20):
    """A disk to which nothing was ever written."""
    with open(path, "wb") as f:
        f.truncate(size)
    return path


class Machine:
    """xen=False: the image on its kernel alone, in a fraction of the time. disk: a file that outlives the machine.
    options: more of the kernel's command line, and answers: (what the console says, what is typed then) one after the
    other; both without Xen.
    """

    def __init__(self, image, memory=1536, dom0_memory=700, disk=None, more_disks=(), xen=True, options="", answers=None):
        self.tmp = tempfile.mkdtemp(prefix="skerry-xen-")
        hypervisor = os.path.join(self.tmp, "xen")
        with gzip.open(os.path.join(image, "xen.gz")) as f, open(hypervisor, "wb") as out:
            shutil.copyfileobj(f, out)
        self.said, self.console = os.path.join(self.tmp, "said"), os.path.join(self.tmp, "console")
        modules = "%s console=hvc0 quiet,%s" % (os.path.join(image, "vmlinuz"), os.path.join(image, "initramfs.gz"))
        self.command = [
            *NICE, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", CPU, "-m", str(memory), "-display", "none",
            "-no-reboot", "-net", "none", "-kernel", hypervisor, "-initrd", modules,
            "-append", "console=com1 com1=115200,8n1 noreboot dom0_mem=%dM dom0_max_vcpus=1" % dom0_memory,
            "-serial", "file:" + self.console, "-monitor", "none",
            "-device", "virtio-serial-pci", "-chardev", "file,id=said,path=" + self.said,
            "-device", "virtserialport,chardev=said,name=skerry"]
        for path in ([disk] if disk else []) + list(more_disks):
            self.command += ["-drive", "file=%s,if=virtio,format=raw,cache=writethrough" % path]
        if not xen:
            for option, value in (("-kernel", os.path.join(image, "vmlinuz")), ("-append", "console=ttyS0 quiet"),
                                  ("-initrd", os.path.join(image, "initramfs.gz"))):
                self.command[self.command.index(option) + 1] = value
        if options:
            self.command[self.command.index("-append") + 1] += " " + options
        self.answers, self.keyboard = list(answers or ()), os.path.join(self.tmp, "keyboard")
        if answers is not None:
            at = self.command.index("-serial")
            self.command[at:at + 2] = ["-chardev", "socket,id=keyboard,path=%s,server=on,wait=on,logfile=%s" % (self.keyboard, self.console),
                                       "-serial", "chardev:keyboard"]
            threading.Thread(target=self.type, daemon=True).start()

    def type(self):
        """Answers what the console asks; what was never asked stays in answers."""
        line, said = socket.socket(socket.AF_UNIX), b""
        while line.connect_ex(self.keyboard):
            time.sleep(0.05)
        while True:
            more = line.recv(4096)
            if not more:
                return
            said += more
            if self.answers and self.answers[0][0].encode() in said:
                said = b""
                # Who asks for a passphrase throws away what was typed before its question was out.
                time.sleep(2)
                line.sendall(self.answers.pop(0)[1].encode() + b"\r")

    def run(self, seconds, keep_said=None, cut_at=None):
        """The lines that the test said and those of the console, and whether the machine switched itself off in time.
        keep_said: an event, set when all was said, for who reads along. cut_at: the beginning of a line after which
        the machine's power is cut; in time means then that the line came.
        """
        try:
            proc = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            try:
                in_time = self.cut(proc, seconds, cut_at) if cut_at else proc.wait(timeout=seconds) == 0
            except subprocess.TimeoutExpired:
                in_time = False
                proc.kill()
                proc.wait()
            if keep_said:
                time.sleep(0.5)  # the reader looks five times a second
                keep_said.set()
            return self.read(self.said), self.read(self.console), in_time
        finally:
            shutil.rmtree(self.tmp, ignore_errors=True)

    def cut(self, proc, seconds, line):
        end = time.monotonic() + seconds
        while time.monotonic() < end and proc.poll() is None:
            if any(said.startswith(line) for said in self.read(self.said)):
                proc.kill()
                proc.wait()
                return True
            time.sleep(0.2)
        raise subprocess.TimeoutExpired(proc.args, seconds)

    @staticmethod
    def read(path):
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", errors="replace") as f:
            return [line.rstrip("\r\n") for line in f]
