# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole Debian packages in a tree, with those that they need and the database in which dpkg keeps them: what is made
so can be updated with apt afterwards. No script of a package is run: they are unpacked, and configured in the qube.
"""
import os
import re
import stat
import subprocess
import tarfile

import debs

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # folders that are links into /usr
INFO = "/var/lib/dpkg/info/"


def merged(path):
    """Where a path of a package is in a tree whose /bin is a link to /usr/bin."""
    path = path.strip("/")
    first = path.partition("/")[0]
    return "usr/" + path if first in MERGED and path != first else path


def control(deb):
    return debs.output("dpkg-deb", "-f", deb)


def field(text, name):
    m = re.search(r"^%s: (.*(?:\n .*)*)$" % re.escape(name), text, re.M)
    return m.group(1) if m else ""


def needs(text):
    """Lists of alternatives, without versions."""
    for name in ("Pre-Depends", "Depends"):
        for group in field(text, name).replace("\n", "").split(","):
            found = [re.match(r"\s*([a-z0-9.+-]+)", a) for a in group.split("|") if a.strip()]
            if found:
                yield [m.group(1) for m in found]


def closure(packages, names):
    """{package: (path, control)} of these and all that they need."""
    found, provided, waiting = {}, set(), [[n] for n in names]
    while waiting:
        packages.fetch(*sorted({n for group in waiting for n in group[:1] if n not in found and n not in provided
                                and packages.real(n)}))
        later, unknown = [], []
        for group in waiting:
            if any(n in found or n in provided for n in group):
                continue
            name = next((n for n in group if packages.real(n)), None)
            if not name:
                unknown.append(group)
                continue
            path = packages.path(name)
            text = control(path)
            found[name] = (path, text)
            provided |= {re.match(r"\s*(\S+)", p).group(1) for p in field(text, "Provides").split(",") if p.strip()}
            later += list(needs(text))
        if not later and unknown:
            missing = [g for g in unknown if not any(n in provided for n in g)]
            if missing:
                raise SystemExit("image: no package that is named provides %s" % " or ".join(missing[0]))
        waiting = later + (unknown if later else [])
    return found


def members(deb):
    """(its name, its path in a merged tree, kind and mode, data, owner) of all that a package holds."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as proc, \
            tarfile.open(fileobj=proc.stdout, mode="r|") as tar:
        links = {}
        for m in tar:
            name = m.name.lstrip(".")
            path = merged(name)
            if m.isdir():
                yield name, path, stat.S_IFDIR | m.mode, b"", (m.uid, m.gid)
            elif m.issym():
                yield name, path, stat.S_IFLNK | 0o777, m.linkname.encode(), (0, 0)
            elif m.islnk():
                yield name, path, *links[merged(m.linkname.lstrip("."))]
            elif m.isfile():
                links[path] = (stat.S_IFREG | m.mode, tar.extractfile(m).read(), (m.uid, m.gid))
                yield name, path, *links[path]


def database(archive, name, deb, text, paths):
    """What dpkg writes down of a package that was unpacked."""
    multi = field(text, "Multi-Arch") == "same"
    stem = INFO + (name + ":" + field(text, "Architecture") if multi else name)
    archive.add(stem + ".list", stat.S_IFREG | 0o644, "".join(p + "\n" for p in paths).encode())
    conffiles = b""
    for script in debs.output("dpkg-deb", "--info", deb, "conffiles").split() if has_conffiles(deb) else []:
        data = archive.entries.get(merged(script), (0, b""))[1]
        conffiles += (" %s %s\n" % (script, debs.md5(data))).encode()
    with subprocess.Popen(["dpkg-deb", "--ctrl-tarfile", deb], stdout=subprocess.PIPE) as proc, \
            tarfile.open(fileobj=proc.stdout, mode="r|") as tar:
        for m in tar:
            base = os.path.basename(m.name)
            if m.isfile() and base != "control":
                archive.add("%s.%s" % (stem, base), stat.S_IFREG | m.mode, tar.extractfile(m).read())
    head, _, rest = text.partition("\n")
    record = "%s\nStatus: install ok unpacked\n%s" % (head, rest)
    return record.rstrip("\n").encode() + b"\n" + (b"Conffiles:\n" + conffiles if conffiles else b"")


def has_conffiles(deb):
    return " conffiles" in debs.output("dpkg-deb", "--info", deb)


def add(archive, packages, names):
    for link in MERGED[:3] + MERGED[4:5]:
        archive.add("/usr/" + link, stat.S_IFDIR | 0o755)
        archive.add("/" + link, stat.S_IFLNK | 0o777, ("usr/" + link).encode())
    status = []
    for name, (deb, text) in sorted(closure(packages, names).items()):
        packages.note(deb)
        paths = ["/."]
        for name_in, path, mode, data, owner in members(deb):
            if not path:
                continue
            paths.append(name_in.rstrip("/"))
            if path in MERGED:
                continue
            archive.add(path, mode, data)
            if owner != (0, 0):
                archive.owners[path] = owner
        status.append(database(archive, name, deb, text, paths))
    archive.add("/var/lib/dpkg/status", stat.S_IFREG | 0o644, b"\n".join(status))
    for empty in ("available", "diversions", "statoverride"):
        archive.add("/var/lib/dpkg/" + empty, stat.S_IFREG | 0o644)
    archive.add(INFO + "format", stat.S_IFREG | 0o644, b"1\n")
    archive.add("/var/lib/dpkg/arch", stat.S_IFREG | 0o644, b"amd64\n")
    archive.add("/var/lib/dpkg/updates", stat.S_IFDIR | 0o755)
