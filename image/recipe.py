# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a recipe, one thing a line, and gathers what it names into an archive.

    include FILE                          another recipe, beside this one
    deb PACKAGE PATTERN DEST              a program out of a Debian package, with the libraries that it needs
    own PROGRAM DEST                      a program of this repository, below the build tree
    installed PATTERN…                    what dom0 gets of it when it is installed below /usr
    in-qube PATTERN…                      what a qube gets of it
    file SOURCE DEST [MODE]               a file beside the recipe, as it is
    dir DEST [MODE]                       an empty folder
    link DEST TARGET
    module NAME                           a kernel module and those that it needs, in loading order
    all-modules                           every module of the kernel, below VERSION/, with depmod's lists of them (disks)
    packages NAME…                        whole packages, with those that they need and dpkg's database (disks)
    tree FOLDER                           everything below a folder of the build tree
    drop PATTERN                          what is not wanted of packages
    owner PATH UID GID                    of a file or folder
    text DEST LINE…                       lines behind what DEST holds, if anything; @PATH: the text of that file
    libraries PACKAGE…                    where the libraries of dynamic programs are looked for

PACKAGE may be @kernel or @xen, those of the base; PATTERN and PACKAGE may hold @version, the hypervisor's.
"""
import fnmatch
import glob
import os
import shlex
import shutil
import stat
import subprocess
import tempfile

import dpkg
import elf

MODULES = "/lib/modules"
LIST = "/etc/skerry/modules"
LIBRARY_PLACES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib")


class Recipe:
    def __init__(self, packages, base, tree, archive):
        self.packages, self.base, self.tree, self.archive = packages, base, tree, archive
        self.libraries = []  # packages
        self.modules = []  # names in loading order
        self.places = {}  # module name: path
        self.whole = False  # whole packages: /bin is a link, and libraries are theirs
        self.wanting = []  # dynamic programs and libraries: (dest, data)

    def read(self, path):
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                words = shlex.split(line, comments=True)
                if not words:
                    continue
                try:
                    getattr(self, "do_" + words[0].replace("-", "_"))(os.path.dirname(path), *words[1:])
                except (AttributeError, TypeError) as e:
                    raise SystemExit("%s:%d: %s" % (path, number, e))

    def name_of(self, name):
        return self.base.get(name, name).replace("@version", self.base["version"])

    def package(self, name):
        return self.packages.folder(self.name_of(name))

    def put(self, dest, data, mode=0o755):
        self.archive.add(dpkg.merged(dest) if self.whole else dest, stat.S_IFREG | mode, data)
        if data[:4] == b"\x7fELF" and not self.whole:
            self.wanting.append((dest, data))

    def do_include(self, here, name):
        self.read(os.path.join(here, name))

    def do_deb(self, here, package, pattern, dest):
        folder = self.package(package)
        found = glob.glob(os.path.join(folder, pattern.replace("@version", self.base["version"]).lstrip("/")))
        if len(found) != 1:
            raise SystemExit("image: %s has %d files %s" % (package, len(found), pattern))
        with open(found[0], "rb") as f:
            self.put(dest, f.read())

    def do_own(self, here, program, dest):
        path = os.path.join(self.tree, program)
        if not os.path.isfile(path):
            raise SystemExit("image: %s is not built" % path)
        with open(path, "rb") as f:
            self.put(dest, stripped(path, f.read()))

    def stage(self):
        """The tree as scripts/stage.sh has installed it, with the prefix /usr/local."""
        stage = os.path.join(os.path.dirname(os.path.abspath(self.tree)), "stage")
        if not os.path.isdir(stage):
            raise SystemExit("image: %s is not there: scripts/setup.sh release" % stage)
        return stage

    def take_installed(self, top, pattern, name_of):
        found = sorted(glob.glob(top + pattern, recursive=True))
        if not found:
            raise SystemExit("image: nothing that is installed is called " + pattern)
        for path in found:
            dest = name_of(path[len(top):])
            if os.path.islink(path):
                self.archive.add(dest, stat.S_IFLNK | 0o777, link_target(path).encode())
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    data = f.read()
                mode = 0o755 if os.access(path, os.X_OK) else 0o644
                self.put(dest, stripped(path, data) if data[:4] == b"\x7fELF" else data, mode)

    def do_installed(self, here, *patterns):
        for pattern in patterns:
            place = pattern if pattern.startswith("/etc/") else pattern.replace("/usr/", "/usr/local/", 1)
            self.take_installed(self.stage(), place, lambda name: name.replace("/usr/local/", "/usr/", 1))

    def do_in_qube(self, here, *patterns):
        top = os.path.join(self.stage(), "usr/local/lib/skerry/qube")
        for pattern in patterns:
            self.take_installed(top, pattern, lambda name: name)

    def do_file(self, here, source, dest, mode="644"):
        with open(os.path.join(here, source), "rb") as f:
            self.put(dest, f.read(), int(mode, 8))

    def do_dir(self, here, dest, mode="755"):
        self.archive.add(dpkg.merged(dest) if self.whole else dest, stat.S_IFDIR | int(mode, 8))

    def do_link(self, here, dest, target):
        self.archive.add(dpkg.merged(dest) if self.whole else dest, stat.S_IFLNK | 0o777, target.encode())

    def do_packages(self, here, *names):
        dpkg.add(self.archive, self.packages, names)
        self.whole = True

    def do_tree(self, here, name):
        top = os.path.join(self.tree, name)
        if not os.path.isdir(top):
            raise SystemExit("image: %s is not there: ./scripts/setup.sh release makes it" % top)
        for folder, folders, files in os.walk(top):
            for entry in sorted(folders + files):
                self.add_entry(os.path.join(folder, entry), os.path.relpath(os.path.join(folder, entry), top))

    def add_entry(self, path, dest):
        dest = dpkg.merged(dest) if self.whole else dest
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            self.archive.add(dest, stat.S_IFLNK | 0o777, os.readlink(path).encode())
        elif stat.S_ISREG(mode):
            with open(path, "rb") as f:
                data = f.read()
            self.archive.add(dest, stat.S_IFREG | (0o755 if mode & 0o100 else 0o644),
                             stripped(path, data) if data[:4] == b"\x7fELF" else data)

    def do_drop(self, here, *patterns):
        for path in list(self.archive.entries):
            if any(fnmatch.fnmatchcase("/" + path, p) for p in patterns):
                del self.archive.entries[path]

    def do_text(self, here, dest, *lines):
        dest = dpkg.merged(dest) if self.whole else dest.strip("/")
        mode, data, _ = self.archive.entries.pop(dest, (stat.S_IFREG | 0o644, b"", (0, 0)))
        for line in lines:
            data += self.archive.entries[line[1:].strip("/")][1] if line.startswith("@") else line.encode() + b"\n"
        self.archive.add(dest, mode, data)

    def do_owner(self, here, path, uid, gid):
        self.archive.owners[path.strip("/")] = (int(uid), int(gid))

    def do_libraries(self, here, *packages):
        self.libraries += packages
        self.packages.fetch(*[self.name_of(p) for p in packages])

    def do_module(self, here, *names):
        if not self.places:
            top = os.path.join(self.package("@kernel"), "lib", "modules")
            if not os.path.isdir(top):
                top = os.path.join(self.package("@kernel"), "usr", "lib", "modules")
            for folder, _, files in os.walk(top):
                for name in files:
                    if ".ko" in name:
                        self.places[name.split(".ko")[0].replace("-", "_")] = os.path.join(folder, name)
        for name in names:
            self.add_module(name.replace("-", "_"))

    def add_module(self, name):
        if name in self.modules:
            return
        if name not in self.places:
            # Built into this kernel, or spelled wrong: its list of built-in modules decides.
            if name in self.built_in():
                return
            raise SystemExit("image: the kernel has no module %s" % name)
        data = elf.module_bytes(self.places[name])
        for other in elf.module_needs(data):
            self.add_module(other.replace("-", "_"))
        self.modules.append(name)
        self.archive.add("%s/%s.ko" % (MODULES, name), stat.S_IFREG | 0o644, data)

    def do_all_modules(self, here):
        folder = self.package("@kernel")
        place = next((p for p in (os.path.join(folder, "lib", "modules"), os.path.join(folder, "usr", "lib", "modules")) if os.path.isdir(p)), "")
        versions = os.listdir(place) if place else []
        if len(versions) != 1:
            raise SystemExit("image: the kernel's package has modules of %d versions" % len(versions))
        version, top = versions[0], os.path.join(place, versions[0])
        self.whole = True  # no program in it wants a library
        for at, _, names in os.walk(top):
            for name in names:
                path = os.path.join(at, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as f:
                        self.archive.add(os.path.join(version, os.path.relpath(path, top)), stat.S_IFREG | 0o644, f.read())
        with tempfile.TemporaryDirectory() as tmp:
            # depmod writes beside what it reads, and the package is not ours to change.
            shutil.copytree(top, os.path.join(tmp, "lib", "modules", version), symlinks=True, copy_function=link_or_copy)
            r = subprocess.run(["depmod", "-b", tmp, version], stderr=subprocess.PIPE, env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"), check=False)
            made = os.path.join(tmp, "lib", "modules", version)
            if r.returncode or not os.path.isfile(os.path.join(made, "modules.dep")):
                raise SystemExit("image: depmod: " + r.stderr.decode("utf-8", "replace").strip()[-300:])
            for name in sorted(os.listdir(made)):
                if not os.path.isfile(os.path.join(made, name)) or os.path.islink(os.path.join(made, name)):
                    continue
                with open(os.path.join(made, name), "rb") as f:
                    self.archive.entries.pop(os.path.join(version, name), None)
                    self.archive.add(os.path.join(version, name), stat.S_IFREG | 0o644, f.read())

    def built_in(self):
        found = set()
        for path in glob.glob(os.path.join(self.package("@kernel"), "**", "modules.builtin"), recursive=True):
            with open(path, encoding="utf-8") as f:
                found |= {os.path.basename(n.strip()).split(".ko")[0].replace("-", "_") for n in f}
        return found

    def finish(self):
        if self.modules:
            text = "".join("%s/%s.ko\n" % (MODULES, n) for n in self.modules)
            self.archive.add(LIST, stat.S_IFREG | 0o644, text.encode())
        have = set()
        while self.wanting:
            _, data = self.wanting.pop()
            names, interpreter = elf.needed(data)
            for name in names + ([interpreter] if interpreter else []):
                if name not in have:
                    have.add(name)
                    self.add_library(name)

    def add_library(self, name):
        """A library by its soname, or the loader by its path; both stand where the loader looks first."""
        base = os.path.basename(name)
        for package in self.libraries:
            folder = self.package(package)
            for place in LIBRARY_PLACES:
                path = os.path.join(folder, place, base)
                if os.path.lexists(path):
                    with open(os.path.realpath(path), "rb") as f:
                        self.put(name if name.startswith("/") else "/lib/x86_64-linux-gnu/" + base, f.read())
                    return
        raise SystemExit("image: no package that the recipe names has the library %s" % name)


def link_or_copy(source, dest):
    try:
        os.link(source, dest)
    except OSError:
        shutil.copyfile(source, dest)


def link_target(path):
    """In the stage, absolute links lead into it."""
    target = os.readlink(path)
    return "/usr/" + target.split("/usr/local/")[1] if "/usr/local/" in target else target


def stripped(path, data):
    """Without what a debugger needs, which is most of it."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "program")
        r = subprocess.run(["strip", "--strip-all", "-o", out, path], stderr=subprocess.PIPE, check=False)
        if r.returncode:
            raise SystemExit("image: strip: " + r.stderr.decode("utf-8", "replace").strip())
        with open(out, "rb") as f:
            return f.read() or data
