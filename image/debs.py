# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages as an ordinary user has them: fetched with apt, unpacked with dpkg-deb, never installed."""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile


class NotFetched(Exception):
    """A package is neither in the cache nor to be had."""


def output(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if r.returncode:
        raise SystemExit("image: %s: %s" % (" ".join(command), r.stderr.decode("utf-8", "replace").strip()))
    return r.stdout.decode()


def fields(deb, *names):
    out = output("dpkg-deb", "-f", deb, *names)
    found = dict(re.findall(r"^([A-Za-z-]+): (.*)$", out, re.M))
    return [found.get(n, "") for n in names]


class Packages:
    """The packages of one image. A name may be PACKAGE, PACKAGE=VERSION, or the path of a .deb."""

    def __init__(self, cache):
        self.cache = cache
        self.known = {}  # asked-for name: unpacked folder
        self.used = {}  # package: {version, sha256 …}
        os.makedirs(cache, exist_ok=True)
        self.key = lists_key()
        self.records = self.kept_records()  # package: what apt knows of it

    def kept_records(self):
        """Answers of apt last as long as its lists do; each question may take it some seconds."""
        try:
            with open(os.path.join(self.cache, "apt.json"), encoding="utf-8") as f:
                found = json.load(f)
            return found["records"] if found["key"] == self.key else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def keep_records(self):
        path = os.path.join(self.cache, "apt.json")
        with open(path + ".%d" % os.getpid(), "w", encoding="utf-8") as f:
            json.dump({"key": self.key, "records": self.records}, f)
        os.replace(path + ".%d" % os.getpid(), path)

    def newest_xen(self):
        """The newest hypervisor that apt offers."""
        if "@xen" not in self.records:
            names = re.findall(r"^(xen-hypervisor-([\d.]+)-amd64) ", output("apt-cache", "search", "--names-only",
                                                                            "^xen-hypervisor-[0-9.]+-amd64$"), re.M)
            if not names:
                raise NotFetched("apt offers no xen-hypervisor-*-amd64")
            self.records["@xen"] = max(names, key=lambda n: [int(x) for x in n[1].split(".")])[0]
            self.keep_records()
        return self.records["@xen"]

    def kept(self, name):
        """The path of a package in the cache, and what to ask apt for if it is not there."""
        package, _, version = name.partition("=")
        version = version or self.candidate(package)
        # As apt names the file: an epoch's colon becomes %3a.
        found = glob.glob(os.path.join(self.cache, "%s_%s_*.deb" % (package, version.replace(":", "%3a"))))
        return found[0] if found else None, "%s=%s" % (package, version)

    def fetch(self, *names):
        """Into the cache, in one go."""
        self.ask(*names)
        missing = [self.kept(n)[1] for n in names if not n.endswith(".deb") and not self.kept(n)[0]]
        if not missing:
            return
        place = tempfile.mkdtemp(prefix="fetch.", dir=self.cache)
        try:
            subprocess.run(["apt-get", "-qq", "download"] + missing, cwd=place, check=True, stderr=subprocess.DEVNULL)
            for deb in os.listdir(place):
                os.replace(os.path.join(place, deb), os.path.join(self.cache, deb))
        except subprocess.CalledProcessError:
            raise NotFetched("%s cannot be fetched; apt-get update may help" % " ".join(missing)) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def path(self, name):
        if name.endswith(".deb"):
            return os.path.abspath(name)
        self.fetch(name)
        return self.kept(name)[0]

    def ask(self, *names):
        """What apt knows of these, in one go: it takes a second each time."""
        names = [n for n in names if n not in self.records and not n.endswith(".deb") and "=" not in n]
        if not names:
            return
        # A name that apt does not know is an error to it; candidate() says which.
        known = subprocess.run(["apt-cache", "show", "--no-all-versions"] + names, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=False).stdout.decode("utf-8", "replace")
        for record in known.split("\n\n"):
            found = dict(re.findall(r"^(Package|Version): (.*)$", record, re.M))
            if "Package" in found:
                self.records.setdefault(found["Package"], found)
        self.keep_records()

    def candidate(self, package):
        self.ask(package)
        if package not in self.records:
            raise NotFetched("apt knows no package %s; apt-get update may help" % package)
        return self.records[package]["Version"]

    def real(self, name):
        """Whether apt has such a package, or only others that stand for it."""
        self.ask(name)
        return name in self.records

    def note(self, deb):
        """For the manifest: this package is in the image."""
        package, version, source = fields(deb, "Package", "Version", "Source")
        with open(deb, "rb") as f:
            data = f.read()
        self.used[package] = {"version": version, "source": source.split(" ")[0] or package, "size": len(data),
                              "sha256": sha256(data)}

    def folder(self, name):
        """The unpacked package; a package without files of its own stands for the first that it depends on."""
        if name in self.known:
            return self.known[name]
        deb = self.path(name)
        package, version, source, depends = fields(deb, "Package", "Version", "Source", "Depends")
        with open(deb, "rb") as f:
            data = f.read()
        m = re.match(r"(linux-image-\d[^ ,]*)", depends)
        if package.startswith("linux-image-") and m:
            place = self.folder(m.group(1))
        else:
            place = self.unpack(deb, "%s_%s_%s" % (package, version.replace(":", "%3a"), sha256(data)[:16]))
            self.used[package] = {"version": version, "source": source.split(" ")[0] or package, "size": len(data),
                                  "sha256": sha256(data)}
        self.known[name] = place
        return place

    def unpack(self, deb, name):
        """Unpacked once and kept: a kernel's package takes some seconds."""
        place = os.path.join(self.cache, "unpacked", name)
        if not os.path.isdir(place):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            new = tempfile.mkdtemp(prefix=name + ".", dir=os.path.dirname(place))
            try:
                subprocess.run(["dpkg-deb", "-x", deb, new], check=True)
                os.rename(new, place)
            except OSError:
                if not os.path.isdir(place):  # another builder was faster
                    raise
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return place


def lists_key():
    """Changes whenever apt's lists do."""
    folder = "/var/lib/apt/lists"
    try:
        seen = sorted((e.name, e.stat().st_mtime_ns) for e in os.scandir(folder) if e.is_file())
        return sha256(repr(seen).encode())
    except OSError:
        return ""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def md5(data):
    """Only because dpkg's database has it."""
    return hashlib.md5(data).hexdigest()
