# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of backups share: a system with volumes that have something in them."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from admin_common import Admin, BUILD
from harness import Skip

PASS = "correct horse battery staple"
KERNELS = ("6.12.1-1.fc41", "6.18.2-1.fc41", "pvgrub2-pvh")


class System:
    """An admin service with a template, "work" on it, and a pool of trees with "tree" in it."""

    def __init__(self, t, name, fill=True):
        self.root = t.path(name)
        for version in KERNELS:
            os.makedirs(os.path.join(self.root, "var/lib/qubes/vm-kernels", version))
        self.admin = Admin(self.root, storage=True, log=t.path(name + ".log"))
        t._closers.append(self)
        self.open = True
        if not fill:
            return
        ok = self.admin.ok
        ok("admin.vm.Create.TemplateVM", "", payload="name=deb label=black")
        ok("admin.property.Set", "default_template", payload="deb")
        ok("admin.vm.Create.AppVM", "deb", payload="name=work label=red")
        ok("admin.pool.Add", "directory", payload="name=trees\ndir_path=/var/lib/trees\n")
        ok("admin.pool.Add", "host", payload="name=host\n")
        ok("admin.vm.CreateInPool.TemplateVM", "", payload="name=local label=black pool:root=host pool:private=trees")
        ok("admin.vm.CreateInPool.AppVM", "local", payload="name=tree label=blue pool:private=trees")
        ok("admin.vm.feature.Set", "vm-config.x", "work", "a < b & c")
        ok("admin.vm.tag.Set", "mine", "work")
        ok("admin.vm.property.Set", "memory", "work", "555")

    def close(self):
        if self.open:
            self.open = False
            self.admin.close()

    def file(self, name):
        return os.path.join(self.root, "var/lib", name)

    def private(self, name="work"):
        return self.file("qubes/appvms/%s/private.img" % name)

    def tree(self, name="tree"):
        return os.path.join(self.file("trees/appvms/%s/private" % name),
                            os.readlink(self.file("trees/appvms/%s/private/current" % name)))

    def run(self, program, *args, **more):
        env = dict(os.environ, SKERRY_ROOT=self.root, LC_ALL="C")
        return subprocess.run([os.path.join(BUILD, program)] + list(args), env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, **more)

    def service(self, t, name, dest, volume, data):
        """A service of dom0, as the qrexec daemon starts it."""
        link = t.path(name)
        if not os.path.lexists(link):
            os.symlink(os.path.join(BUILD, "services/dom0/dom0-import-volume"), link)
        env = dict(os.environ, SKERRY_ROOT=self.root, QREXEC_REMOTE_DOMAIN="dom0", QREXEC_REQUESTED_TARGET=dest)
        return subprocess.run([link, volume], env=env, input=data, stdout=subprocess.PIPE, check=False).stdout


def write_at(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def read_at(path, offset, length):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(length)


def need_scrypt():
    if not shutil.which("scrypt"):
        raise Skip("scrypt is not installed")
